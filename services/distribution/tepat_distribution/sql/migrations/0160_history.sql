-- What was told before what stands, so that a case's whole way can be read.

-- Events about payouts that do not hold: of a payout of which one event was ever told there is none. Known by what is
-- read of them, so that whatever comes again, in whatever order, leaves the same rows.
create table payout_event (
    event_time timestamptz not null,
    revision   bigint not null,
    appended   bigint not null,          -- when the broker first appended it, in milliseconds; 0: before that was kept
    amount     bigint,                   -- none: it tells of an end
    agency     smallint not null,
    rank       smallint not null,
    payout_id  text collate "C" not null,
    event_id   text collate "C" not null,
    unique nulls not distinct (agency, payout_id, revision, rank, event_time, event_id, amount)
);

-- Every event about each payout, the one that holds among them.
create view payout_told as
select agency, payout_id, revision, rank, event_time, event_id, amount, min(appended) as appended
from (
    select agency, payout_id, revision, rank, event_time, event_id, case when rank < 2 then amount end as amount,
           appended
    from payout
    union all
    select agency, payout_id, revision, rank, event_time, event_id, amount, appended from payout_event) told
group by agency, payout_id, revision, rank, event_time, event_id, amount;

alter table overlap
    add column reason  text collate "C",     -- of one that is cleared: why; none: before that was kept
    add column ended_a bigint,               -- of one cleared by the end of this payout: the revision of that end
    add column ended_b bigint;

-- What was announced of overlaps before what stands in `overlap`: of one announced once there is none.
create table announcement (like overlap);
alter table announcement add primary key (overlap_id, revision);
