-- Clearances: whether a planned payout may go. Times of the broker are milliseconds, as it gives them.

alter table payout add column appended bigint not null default 0;   -- when the broker appended the event that holds
alter table mark
    add column ranks    smallint[],     -- of new payouts, as they came
    add column appended bigint;         -- the least of what agencies told here; none: it comes from elsewhere
alter table mark alter column ranks set storage external;
alter table rule add column prefer smallint;

-- What was last answered of each payout that is planned.
create table clearance (
    as_of          timestamptz not null,
    revision       bigint not null,              -- the payout's
    agency         smallint not null,
    programme      smallint not null,
    decision       smallint not null,            -- 0 clear, 1 hold, 2 unknown
    payout_id      text collate "C" not null,
    region         text collate "C" not null,
    policy_version text not null,
    overlap_ids    uuid[] not null,
    reasons        text[] not null,
    primary key (agency, payout_id)
);
create index clearance_by_programme on clearance (programme, agency, payout_id);
create index clearance_not_clear on clearance (agency, payout_id) where decision > 0;

-- Payouts of which the answer may have changed: one row a step of judging.
create table clearance_touch (
    id         bigint generated always as identity primary key,
    at         timestamptz not null,
    agencies   smallint[] not null,
    payout_ids text[] not null
);
alter table clearance_touch alter column agencies set storage external, alter column payout_ids set storage external;

-- Planned payouts that wait until every agency's payouts are read as far as they themselves stand.
create table behind (
    since     timestamptz not null,
    appended  bigint not null,
    agency    smallint not null,
    told      boolean not null default false,    -- so long that it was answered
    payout_id text collate "C" not null,
    primary key (agency, payout_id)
);
create index behind_first on behind (appended);
create index behind_untold on behind (since) where not told;

-- Agencies that have given no sign of life for too long, by the programme with whose payouts theirs could overlap.
create table silence (
    programme smallint not null,
    agency    smallint not null,
    since     bigint,                            -- the broker's time of the last sign; none: never heard of
    primary key (programme, agency)
);

-- Programmes of which every answer is worked out again, in the order of the ledger's key: how far that has come.
create table reclearing (
    programme smallint primary key,
    agency    smallint not null,
    payout_id text collate "C" not null
);
