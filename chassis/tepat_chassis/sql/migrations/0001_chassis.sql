-- What every service's database holds beside its own tables.

-- How far each inbound partition has been taken. The truth about consumption: it moves by
-- compare-and-set in the transaction that holds the batch's facts.
create table position (
    topic       text collate "C" not null,
    partition   int not null,
    next_offset bigint not null check (next_offset >= 0),
    primary key (topic, partition)
);

-- Events on their way to Kafka. Rows leave only once the broker has them.
create table outbox (
    id         bigint generated always as identity primary key,
    created_at timestamptz not null default clock_timestamp(),
    topic      text collate "C" not null,
    key        text collate "C" not null,
    value      bytea
);
-- Thousands of rows come and go a second: vacuum by number, not by share.
alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
                        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);

-- A document of which the last written is in force: one row a version taken, `seq` grows.
create table standing (
    seq      bigint generated always as identity primary key,
    version  text not null,
    document jsonb not null,
    taken_at timestamptz not null default now()
);

-- Records that could not be taken. The bytes are sealed (AES-GCM); the reason is not.
create table quarantine (
    topic          text collate "C" not null,
    partition      int not null,
    "offset"       bigint not null,
    agency         text collate "C" not null,
    event_id       text,
    reason         text not null,
    pointer        text,
    message        text not null,
    sha256         bytea not null,
    sealed         bytea not null,
    quarantined_at timestamptz not null default now(),
    replayed_at    timestamptz,
    primary key (topic, partition, "offset")
);
create index quarantine_recent on quarantine (quarantined_at);

-- Who did or saw what, by whose right.
create table act (
    id     bigint generated always as identity primary key,
    at     timestamptz not null default now(),
    who    text not null,
    name   text,
    act    text not null,
    target text not null,
    detail jsonb not null default '{}'
);
