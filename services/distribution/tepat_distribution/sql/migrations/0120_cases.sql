-- What people decide of overlaps. An overlap announced is an open case; a row stands here once something was done in it.

create table overlap_case (
    overlap_id uuid primary key,
    revision   bigint not null,
    state      text collate "C" not null,
    deadline   timestamptz,              -- of what is not settled
    due        timestamptz,              -- when it is overdue; none: it has no deadline, or that was told
    counts     boolean not null,         -- whether what became of its money is counted
    told       jsonb not null            -- as last told (tepat.case.told.v1): the whole case
);
create index overlap_case_due on overlap_case (due) where due is not null;
create index overlap_case_state on overlap_case (state, overlap_id);

-- Exclusive overlaps announced, whose deadline runs though nobody has touched them: one row a part of a step.
create table case_clock (
    id       bigint generated always as identity primary key,
    at       timestamptz not null,
    ids uuid[] not null
);
alter table case_clock alter column ids set storage external;
create index case_clock_at on case_clock (at);

insert into case_clock (at, ids)
select announced_at, array_agg(overlap_id) from overlap where live and strength = 0 group by announced_at;

-- Every overlap with its case. Of one that a new database knows only as cleared the case alone tells more.
create view cases as
select o.overlap_id, o.revision as overlap_revision, o.live, o.rule, o.strength, o.by_person, o.person, o.household,
       o.starts, o.ends, o.region, o.amount_at_risk, o.announced_at,
       o.agency_a as number_a, o.agency_b as number_b,
       aa.code as agency_a, o.payout_a, o.rank_a, pa.code as code_a, o.amount_a,
       ab.code as agency_b, o.payout_b, o.rank_b, pb.code as code_b, o.amount_b,
       case when not o.live then 'closed' when c.state = 'closed' then 'open' else coalesce(c.state, 'open') end as state,
       c.state as done, c.revision, c.deadline, c.told
from overlap o
join agency aa on aa.id = o.agency_a
join agency ab on ab.id = o.agency_b
left join programme pa on pa.id = o.programme_a
left join programme pb on pb.id = o.programme_b
left join overlap_case c on c.overlap_id = o.overlap_id;

-- What became of the money of overlaps, once each, as the ledger has it now: the payout that ended first was stopped
-- before it left, or returned; both have left. Of a payout cancelled after it left nobody says that the money is back.
create view became as
select o.overlap_id, e.what, least(a.amount, b.amount) as amount, e.agency, e.payout_id, e.programme, e.region
from overlap o
cross join lateral (
    select * from payout p where p.agency = o.agency_a and p.payout_id = o.payout_a limit 1) a
cross join lateral (
    select * from payout p where p.agency = o.agency_b and p.payout_id = o.payout_b limit 1) b
cross join lateral (
    select * from (values
        (case when a.rank = 3 then 'returned' when a.rank = 2 and (a.last_told).rank = 0 then 'stopped' end,
         a.event_time, 1, a.agency, a.payout_id, a.programme, a.region),
        (case when b.rank = 3 then 'returned' when b.rank = 2 and (b.last_told).rank = 0 then 'stopped' end,
         b.event_time, 2, b.agency, b.payout_id, b.programme, b.region),
        (case when a.rank = 1 and b.rank = 1 then 'kept' end,
         b.event_time, 3, b.agency, b.payout_id, b.programme, b.region)
    ) ended (what, at, side, agency, payout_id, programme, region)
    where what is not null
    order by at, side limit 1) e
where a.amount is not null and b.amount is not null;
