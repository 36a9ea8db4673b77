-- Eligibility: persons, cards renewed and visits as told, where persons live today, and what was decided of them.
-- Persons and households are pseudonyms; no NIK or KK ever stands here.

-- What the registry says of each NIK: the data of tepat.person.resolved.v1, as it came.
create table person (
    person   uuid primary key,
    revision bigint not null,
    taken_at timestamptz not null default now(),
    trace    text,
    told     text not null
);

-- Cards that were renewed: the card at the end of the chain.
create table renewal (
    household  uuid primary key,
    stands_for uuid not null,
    revision   bigint not null,
    trace      text
);

-- What officers found: of all events about a visit the one that holds. No answers, no names.
create table verification (
    nik             uuid not null,
    event_time      timestamptz not null,
    taken_at        timestamptz not null default now(),
    revision        bigint not null,
    verified_on     date not null,
    agency          text collate "C" not null,
    verification_id text collate "C" not null,
    event_id        text collate "C" not null,
    programme       text collate "C",
    outcome         text not null,
    region          text collate "C" not null,
    trace           text,
    digest          bytea not null,              -- of the event's data, to order events that misuse one id
    primary key (agency, verification_id)
);
create index verification_of on verification (nik);

-- Persons and households about whom something was told, in the transaction that told it.
create table mark (
    id    bigint generated always as identity primary key,
    g     uuid not null,
    trace text
);
alter table mark set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
                      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

-- From here on written by the duty alone, one session at a time.

-- The household each person lives in today, and when that or their age changes by itself.
create table residence (
    person    uuid primary key,
    household uuid not null,
    turns_on  date
);
create index residence_of on residence (household);
create index residence_turns on residence (turns_on);

-- Households to be decided again.
create table touched (
    household uuid primary key,
    trace     text
);

-- Programmes to be decided again for everybody, and how far that has come.
create table sweep (
    id         bigint generated always as identity primary key,
    programmes text[] not null,
    after      uuid not null default '00000000-0000-0000-0000-000000000000'
);

-- The day that residences and decisions are of.
create table today (
    one bool primary key default true check (one),
    day date not null
);

-- What was last announced of each subject, withdrawals included.
create table decision (
    subject        uuid not null,
    decided_at     timestamptz not null,
    revision       bigint not null,
    as_of          date not null,
    programme      text collate "C" not null,
    unit           text not null,
    decision       text not null,
    region         text collate "C",
    policy_version text not null,
    reasons        text not null,                -- JSON
    primary key (subject, programme)
);
create index decision_by_programme on decision (programme, decision, subject);

-- A row once what our own topic holds was read into `decision`; whether what of it nothing explains was withdrawn.
create table recalled (
    one      bool primary key default true check (one),
    cleared  bool not null default false
);
