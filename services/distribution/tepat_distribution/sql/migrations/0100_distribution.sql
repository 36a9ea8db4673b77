-- Distribution: the payout ledger, who is who as the registry tells it, and the overlaps announced.
-- Persons and households are pseudonyms; no NIK or KK ever stands here.

create table agency (
    id         smallint generated always as identity primary key,
    code       text collate "C" not null unique,
    trust_rank bigint not null default 2147483648   -- none in the policy: trusted last, after any it may name
);

create table programme (
    id         smallint generated always as identity primary key,
    code       text collate "C" not null unique,
    repeatable boolean not null default false
);

-- The rules in force, each pair in both directions, the built-in one among them.
create table rule (
    a        smallint not null,
    b        smallint not null,
    id       text collate "C" not null,
    person   boolean not null,                   -- scope: person, else household
    strength smallint not null,                  -- 0 exclusive, 1 review, 2 complementary
    starts   date not null,
    ends     date not null
);

-- The ledger: of all events about a payout the one that holds.
create table payout (
    nik        uuid,                             -- none: only its end is known yet
    told       uuid,                             -- the card the payout names, else the household of the NIK alone
    person     uuid,                             -- who the NIK stands for
    household  uuid,                             -- whose household that person was in on `starts`
    event_time timestamptz not null,
    amount     bigint,
    revision   bigint not null,
    "offset"   bigint not null,                  -- where the event stands in agency.<agency>.payouts.v1
    digest     bigint not null,                  -- of the event's bytes, to tell a repeat from a misused id
    starts     date,
    ends       date,
    partition  int not null,
    agency     smallint not null,
    programme  smallint,
    rank       smallint not null,                -- 0 planned, 1 disbursed, 2 cancelled, 3 returned
    told_kk    boolean not null,
    live       boolean not null generated always as (rank < 2) stored,
    payout_id  text collate "C" not null,
    event_id   text collate "C" not null,
    region     text collate "C",
    trace      text,
    primary key (agency, payout_id)
);
-- `live` and not `rank`: a payout that goes from planned to disbursed then leaves the indexes alone.
create index payout_household on payout (household) where live;
-- With the household, so that whether a person has another one is answered without a look at the ledger.
create index payout_person on payout (person, household) where live;

-- What the registry says of each NIK it knows.
create table person (
    nik        uuid primary key,
    stands_for uuid not null,
    alone      uuid not null,
    revision   bigint not null
);

create table membership (
    nik       uuid not null,
    agency    smallint not null,
    since     date not null,
    until     date not null,
    household uuid not null,
    primary key (nik, agency, since)
);

-- Cards that were renewed: the card at the end of the chain.
create table renewal (
    household  uuid primary key,
    stands_for uuid not null,
    revision   bigint not null
);

-- Payouts to be judged again: one row a transaction that changed them.
create table mark (
    id          bigint generated always as identity primary key,
    fresh       boolean not null,                -- new in the ledger: nothing was announced of them before
    agencies    smallint[] not null,
    payout_ids  text[] not null,
    programmes  smallint[],                      -- of new ones as they came, so that they need not be looked up
    starts      date[],
    ends        date[],
    persons     uuid[],
    households  uuid[],
    left_groups uuid[] not null default '{}'     -- persons and households that these payouts are gone from
);
-- Ids do not compress: spare the try.
alter table mark
    alter column agencies set storage external, alter column payout_ids set storage external,
    alter column programmes set storage external, alter column starts set storage external,
    alter column ends set storage external, alter column persons set storage external,
    alter column households set storage external, alter column left_groups set storage external;

-- All is to be judged again, in the order of the ledger's key: how far that has come. One row, or none.
create table rejudging (
    agency    smallint not null,
    payout_id text collate "C" not null
);

-- Groups with more than 1,000 live payouts, which no rule applies to.
create table too_large (
    g       uuid primary key,
    person  boolean not null,
    revision bigint not null,
    live    boolean not null
);

-- What was last announced of each pair. `a` and `b` are in the order of (agency, payout_id) by code point.
-- Of a pair that a new database knows only as cleared, from the topic, no more is known than its revision.
create table overlap (
    overlap_id     uuid not null,
    person         uuid,
    household      uuid,
    revision       bigint not null,
    amount_at_risk bigint,
    amount_a       bigint,
    amount_b       bigint,
    revision_a     bigint,
    revision_b     bigint,
    announced_at   timestamptz not null,
    starts         date,
    ends           date,
    agency_a       smallint not null,
    agency_b       smallint not null,
    programme_a    smallint,
    programme_b    smallint,
    rank_a         smallint,
    rank_b         smallint,
    strength       smallint,
    by_person      boolean,
    live           boolean not null,
    payout_a       text collate "C" not null,
    payout_b       text collate "C" not null,
    rule           text collate "C",
    region         text collate "C",
    policy_version text,
    primary key (agency_a, payout_a, agency_b, payout_b)
);
create unique index overlap_by_id on overlap (overlap_id);
create index overlap_by_second on overlap (agency_b, payout_b) where live;

-- Our own topics were read back, by the first instance that this database saw; then all that was announced was judged.
create table recalled (
    once   boolean primary key default true check (once),
    judged boolean not null default false
);

-- Until the inbound topics are taken again up to here, nothing is judged: half a history clears what stands.
create table rebuilding (
    topic     text not null,
    partition int not null,
    until     bigint not null,
    primary key (topic, partition)
);

-- Who a NIK is and whose household that person was in on a day (overlap.md, "Person and household").
-- One statement, so that the planner puts it in line wherever it is called. Memberships come with the person: of
-- a NIK that the registry never told of none are looked for. `offset 0` keeps the look-up from being made twice.
create function resolved(of_nik uuid, told uuid, told_kk boolean, on_day date)
returns table (person uuid, household uuid)
language sql stable parallel safe
begin atomic
    select lived.person, coalesce(renewal.stands_for, lived.household)
    from (
        select coalesce(p.stands_for, of_nik) as person,
               coalesce(
                   case when p.nik is not null then (
                       select m.household
                       from membership m join agency a on a.id = m.agency
                       where m.nik = p.stands_for and m.since <= on_day and m.until >= on_day
                       order by a.trust_rank, a.code, m.since desc
                       limit 1) end,
                   case when told_kk then told else coalesce(p.alone, told) end) as household
        from (values (1)) one left join person p on p.nik = of_nik
        offset 0
    ) lived
    left join renewal on renewal.household = lived.household;
end;
