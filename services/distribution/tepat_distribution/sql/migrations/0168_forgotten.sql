-- Payouts are forgotten when their retention is over, with all that rests on them.

-- The day before which all that may be is forgotten. One row, or none.
create table forgotten_before (
    one bool primary key default true check (one),
    day date not null
);

-- Payouts stand much in the order in which they were last heard of: ranges of pages tell which may hold any that were
-- not for long.
create index payout_appended on payout using brin (appended) with (pages_per_range = 32, autosummarize = on);
-- Of those taken before it was kept when the broker appended them it is not known better than their agencies say.
update payout set appended = (extract(epoch from least(event_time, now())) * 1000)::bigint where appended = 0;

-- What was announced of a payout goes with it, whatever stands of it.
create index overlap_ended_by_second on overlap (agency_b, payout_b) where not live;
