-- Findings about payouts, and what they are found by: what the registry and eligibility say, the terms of the policy.

alter table person add column deceased_on date;
-- Everybody is told anew from the beginning of the topic, their latest revision once more: it may say when they died.
update person set revision = revision - 1;
delete from position where topic = 'registry.persons.v1';

-- NIKs that the registry knew and has erased: nobody may say of them that they were never registered.
create table erased (
    nik uuid primary key
);

-- What eligibility last said of each programme and person or household.
create table decision (
    subject   uuid not null,
    revision  bigint not null,
    as_of     date,                              -- none where nothing is decided
    programme smallint not null,
    standing  smallint not null,                 -- 0 nothing or unknown, 1 eligible, 2 ineligible, 3 to be verified
    primary key (subject, programme)
);

-- What the policy in force says of a programme.
create table term (
    programme smallint primary key,
    person    boolean not null,                  -- unit: person, else household
    decided   boolean not null,                  -- it has criteria
    starts    date not null,                     -- the days on which all this holds
    ends      date not null,
    period    text,
    regions   text[] not null                    -- where it runs; empty: everywhere
);

-- The most it pays a household or person (by its unit) for one period, in all ('') and for one component.
create table cap (
    programme smallint not null,
    component text collate "C" not null,
    amount    bigint not null,
    primary key (programme, component)
);

-- Which period a day lies in, counted from the first there is; of what is paid `once` all days are one.
create function period_number(period text, day date) returns int
language sql immutable parallel safe
begin atomic
    select case period
        when 'once' then 0
        when 'day' then d - date '0001-01-01'
        else (extract(year from d)::int * 12 + extract(month from d)::int - 1)
             / case period when 'month' then 1 when 'two_months' then 2 when 'quarter' then 3 when 'half_year' then 6
                           when 'year' then 12 end end
    from (select least(greatest(day, date '0001-01-01'), date '9999-12-31')) clamped (d);
end;

-- Payouts to be looked at, and persons and households that payouts are gone from: pages of a step of judging.
create table finding_touch (
    id          bigint generated always as identity primary key,
    at          timestamptz not null,
    agencies    smallint[] not null default '{}',
    payout_ids  text[] not null default '{}',
    left_groups uuid[] not null default '{}'
);
alter table finding_touch alter column agencies set storage external, alter column payout_ids set storage external,
                          alter column left_groups set storage external;

-- Persons and households of whom something else is said: all their payouts are to be looked at.
create table finding_group (
    id     bigint generated always as identity primary key,
    groups uuid[] not null
);
alter table finding_group alter column groups set storage external;

-- All is to be looked at again, in the order of the ledger's key: how far that has come. One row, or none.
create table finding_sweep (
    agency    smallint not null,
    payout_id text collate "C" not null
);
insert into finding_sweep (agency, payout_id) values (0, '');

-- What was last announced of each finding but those of groups that are too large; of one cleared before this database
-- was made no more is known than rule and revision.
create table finding (
    finding_id     uuid primary key,
    person         uuid,
    household      uuid,
    revision       bigint not null,
    announced_at   timestamptz not null,
    programme      smallint,
    live           boolean not null,
    of_group       boolean not null,             -- of all payouts of its household or person; else of one payout
    rule           text collate "C" not null,
    agencies       smallint[] not null,          -- with `payout_ids`: in the order of agency and payout id
    payout_ids     text[] collate "C" not null,
    region         text collate "C",
    evidence       text,                         -- JSON
    policy_version text
);
create index finding_of_payout on finding ((agencies[1]), (payout_ids[1])) where not of_group;
create index finding_of_person on finding (person);
create index finding_of_household on finding (household);
