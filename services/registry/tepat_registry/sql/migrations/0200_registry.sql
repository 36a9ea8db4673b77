-- The registry: what agencies say of persons, households, institutions and reports. NIKs and KKs stand here
-- and nowhere beyond; each comes with its pseudonym. Numbers of 16 digits are bigint: their first is never 0.

-- Membership facts: of those about one (NIK, agency, since) the one that holds. One whose `until` lies before
-- its `since` holds on no day.
create table fact (
    nik       bigint not null,
    revision  bigint not null,
    "offset"  bigint not null,                   -- where the event stands in agency.<agency>.beneficiaries.v1
    time      timestamptz not null,
    taken_at  timestamptz not null default now(),
    household uuid not null,                     -- pseudonym of the KK as told
    since     date not null,
    until     date,
    partition int not null,
    agency    text collate "C" not null,
    event_id  text collate "C" not null,
    data      text collate "C" not null,         -- canonical JSON: decides between events that misuse one id
    warnings  text,                              -- of the NIK beside this fact, with spaces between
    trace     text not null,
    primary key (nik, agency, since)
);
create index fact_household on fact (household);
create index fact_event on fact (event_id);

-- Merges of NIKs (kind 0) and renewals of cards (kind 1): of those about one number the one that holds.
create table link (
    kind        smallint not null,
    from_number bigint not null,
    into_number bigint,                          -- none: taken back
    revision    bigint not null,
    "offset"    bigint not null,
    time        timestamptz not null,
    taken_at    timestamptz not null default now(),
    partition   int not null,
    agency      text collate "C" not null,
    event_id    text collate "C" not null,
    data        text collate "C" not null,
    trace       text not null,
    primary key (kind, from_number)
);
create index link_into on link (kind, into_number);
create index link_event on link (event_id);

-- Every NIK that a fact or a merge named, every KK that a renewal named, and the number it stands for.
-- Those with one `stands_for` are one person or family, whatever chains lead there.
create table number (
    kind       smallint not null,
    number     bigint not null,
    stands_for bigint not null,
    pseudonym  uuid not null unique,
    primary key (kind, number)
);
create index number_group on number (kind, stands_for) where stands_for <> number;

-- Circles of merges that stand announced.
create table circle (
    least bigint primary key
);

-- Institutions, reports, their answers, and what a source says is complete.
create table statement (
    agency    text collate "C" not null,
    type      text collate "C" not null,
    about     text collate "C" not null,
    revision  bigint not null,
    time      timestamptz not null,
    event_id  text collate "C" not null,
    data      text collate "C" not null,
    topic     text collate "C" not null,
    partition int not null,
    "offset"  bigint not null,
    trace     text not null,
    taken_at  timestamptz not null default now(),
    primary key (agency, type, about)
);
create index statement_event on statement (event_id);

-- What was last announced under each key: its revision, and a digest of its content but the revision.
create table announced (
    key      uuid primary key,
    revision bigint not null,
    at       timestamptz not null,
    digest   bytea
);

-- Ranks of trust in the policy in force; an agency without one stands last.
create table trust (
    agency text collate "C" primary key,
    rank   int not null
);

-- Ranks have changed: persons of whom several agencies tell are looked at again, from this NIK on.
create table recheck (
    after bigint not null
);

-- Own topics whose revisions this database knows of.
create table recalled (
    topic text primary key
);
