-- Who is told what by the policy's routes: causes of every kind, who is to hear of each and has heard, and whether
-- anybody has acknowledged it. No person stands here; an officer who is told stands as `group/name` of the policy.

-- What is told of, as last announced. `news` is what is to be heard of it: something is told where this differs from
-- what its hearer heard last.
create table cause (
    cause_id     uuid primary key,
    kind         text collate "C" not null
                 check (kind in ('overlap', 'case', 'finding', 'report', 'suspect', 'rejection')),
    key          text collate "C" not null,     -- its id on its topic
    code         text collate "C" not null,     -- the short name people use
    subject      uuid not null,                 -- the id that deliveries name
    revision     bigint not null,
    state        text not null check (state in ('awaits', 'answered', 'over')),
    news         text collate "C" not null,
    verdict      text collate "C",
    amount       bigint,                        -- rupiah
    programmes   text[] not null,
    agencies     text[] not null,
    region       text collate "C",
    said         jsonb not null,                -- what the words need beside this
    by           text,                          -- who acted last, where a person did
    trace        text,
    announced_at timestamptz not null,
    taken_at     timestamptz not null
);
create index cause_code on cause (code);

-- How a recipient is told.
create table terms (
    terms_id   int generated always as identity primary key,
    channels   text[] not null,                 -- in order of preference
    language   text,
    zone       text not null,
    quiet_from time,
    quiet_to   time,
    at_most    int,                             -- notices a day
    unique nulls not distinct (channels, language, zone, quiet_from, quiet_to, at_most)
);

-- Who is to hear of a cause, or has heard. `heard`: its notice was sent, or may have been.
create table hearing (
    hearing_id  bigint generated always as identity primary key,
    cause_id    uuid not null,
    recipient   text collate "C" not null,
    news        text collate "C" not null,
    level       int not null,                   -- 0 the first to be told
    terms_id    int not null,
    moment      text not null check (moment in ('now', 'digest', 'parked')),
    due_at      timestamptz not null,
    delivery_id uuid,                           -- the notice that tells it
    heard       boolean not null default false,
    revision    bigint                          -- of the cause, as it was told
);
create unique index hearing_waits on hearing (cause_id, recipient) where not heard;
-- Nothing is told twice.
create unique index hearing_once on hearing (cause_id, recipient, revision) where heard;
create index hearing_cause on hearing (cause_id, recipient);
create index hearing_gather on hearing (recipient, terms_id) where not heard;
create index hearing_delivery on hearing (delivery_id);

-- The acknowledgement expected of a cause. The timer: when the next level is told; none until somebody of this level
-- has been told, and after the end.
create table awaited (
    cause_id uuid primary key,
    news     text collate "C" not null,
    level    int not null default 0,
    within   interval not null,
    deadline timestamptz,
    how      text check (how in ('link', 'person', 'event', 'ended', 'unanswered')),
    by       text,
    ended_at timestamptz
);
create index awaited_deadline on awaited (deadline) where how is null;

-- Every step of it, for good.
create table awaited_step (
    step_id  bigint generated always as identity primary key,
    cause_id uuid not null,
    at       timestamptz not null,
    what     text not null,                     -- awaited, climbed, or how it ended
    level    int not null,
    by       text
);
create index awaited_step_cause on awaited_step (cause_id);

alter table delivery drop constraint delivery_kind_check;
alter table delivery add constraint delivery_kind_check check (kind in (
    'overlaps', 'digest', 'rejections', 'overlap', 'case', 'finding', 'report', 'suspect', 'summary'));
alter table delivery add column channels text[] not null default '{}';  -- in the order in which they are tried
alter table delivery add column terms_id int;        -- of one by the policy's routes
alter table delivery add column level int;           -- the highest of what it tells
alter table delivery add column acknowledged_at timestamptz;
alter table delivery add column acknowledged_how text;
alter table delivery add column acknowledged_by text;
-- Of one kind a recipient may have a notice that waits for the morning, and another that does not.
drop index delivery_open;
create unique index delivery_open on delivery (agency, channel, kind) where open and terms_id is null;
create unique index delivery_open_routed on delivery (agency, kind, terms_id) where open and terms_id is not null;
create index delivery_told_today on delivery (agency, sending_at) where terms_id is not null;

-- The cause of a record refused by which it was told, so that a replay takes it off there.
alter table rejection add column cause_id uuid;
