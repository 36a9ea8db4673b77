-- What households receive, as it is told on distribution.aid.v1.

-- The order in which an event about a payout holds.
create type told_order as (revision bigint, rank smallint, event_time timestamptz, event_id text collate "C");

alter table payout
    add column kind smallint,        -- of the benefit, in the order of ``domain.KINDS``; none: taken before it was kept
    add column more text,            -- JSON of what else it tells that nobody judges by; none: nothing
    add column last_told told_order; -- of one that has ended: the event that told whom and what it was for
-- The ended ones too have the household in which their person was, and go with it.
create index payout_ended_household on payout (household) where not live;
create index payout_ended_person on payout (person) where not live;

-- Households of which something changed: one row a step of judging.
create table aid_touch (
    id         bigint generated always as identity primary key,
    at         timestamptz not null,
    households uuid[] not null
);
alter table aid_touch alter column households set storage external;

-- Households to be told of anew, each not before a minute after the last time.
create table aid_due (
    household uuid primary key,
    due       timestamptz not null
);
create index aid_due_first on aid_due (due);
-- Thousands of rows come and go a second: vacuum by number, not by share.
alter table aid_due set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
                         autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);

-- What was last told of each household: a digest of its content but the revision.
create table aid (
    household uuid primary key,
    revision  bigint not null,
    told_at   timestamptz not null,
    digest    bytea not null
);

insert into aid_touch (at, households)
select now(), array_agg(household)
from (select household, row_number() over () / 50000 as page
      from (select distinct household from payout where household is not null) h) paged
group by page;
