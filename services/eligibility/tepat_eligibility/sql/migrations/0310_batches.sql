-- What a visit belongs to and rests on: reason and officer are the agency's words, evidence is JSON, kinds and SHA-256.
-- None of them stands for visits taken before they were kept.
alter table verification
    add column batch    text collate "C",
    add column reason   text,
    add column officer  text,
    add column evidence text;
create index verification_in on verification (batch, nik);

-- Who is on the list of a batch: of all events about one NIK in it the one that holds.
create table listed (
    nik        uuid not null,
    event_time timestamptz not null,
    taken_at   timestamptz not null default now(),
    revision   bigint not null,
    listed_on  date not null,
    agency     text collate "C" not null,
    batch      text collate "C" not null,
    event_id   text collate "C" not null,
    programme  text collate "C",
    region     text collate "C" not null,
    trace      text,
    digest     bytea not null,
    primary key (batch, nik, agency)
);

-- Objections (sanggah): of all events about one the one that holds. No name and no place of a house stands here.
create table objection (
    nik          uuid not null,
    event_time   timestamptz not null,
    taken_at     timestamptz not null default now(),
    revision     bigint not null,
    filed_on     date not null,
    agency       text collate "C" not null,
    objection_id text collate "C" not null,
    event_id     text collate "C" not null,
    programme    text collate "C" not null,
    grounds      text not null,
    region       text collate "C" not null,
    filed_by     text not null,
    evidence     text not null,
    trace        text,
    digest       bytea not null,
    -- What has become of it is written by the duty alone; `village` says whether the person lived there that day.
    state           text not null default 'open',
    village         text not null default 'unknown',
    settled_on      date,
    settled_by      text collate "C",
    primary key (agency, objection_id)
);
create index objection_of on objection (nik);
create index objection_open on objection (filed_on) where state = 'open';
create index objection_lapsed on objection (filed_on) where state = 'lapsed';
