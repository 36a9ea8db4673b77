-- Notifications: what agencies are to hear, what they have heard, and how each notice went.
-- No person stands here; a household stands as its pseudonym.

-- The overlaps as last announced, by revision. One that was cleared before it was read knows no more than its payouts.
create table overlap (
    overlap_id     uuid primary key,
    code           text collate "C" not null,   -- the short name people use
    revision       bigint not null,
    live           boolean not null,
    verdict        text collate "C",            -- exclusive, review
    rule           text,
    agency_a       text collate "C" not null,
    payout_a       text collate "C" not null,
    programme_a    text collate "C",
    amount_a       bigint,                      -- rupiah
    agency_b       text collate "C" not null,
    payout_b       text collate "C" not null,
    programme_b    text collate "C",
    amount_b       bigint,
    amount_at_risk bigint,
    starts         date,
    ends           date,
    region         text collate "C",
    household      uuid,
    reason         text,                        -- why it was cleared
    trace          text,
    announced_at   timestamptz not null,
    taken_at       timestamptz not null
);
create index overlap_code on overlap (code);
create index overlap_payout_a on overlap (payout_a, agency_a);
create index overlap_payout_b on overlap (payout_b, agency_b);
create index overlap_household on overlap (household);

-- What an agency is still to hear of an overlap, over a channel: now, in the next digest, or (parked, after a notice
-- that could not be delivered) together with the next digest that there is.
create table attention (
    overlap_id uuid not null,
    agency     text collate "C" not null,
    channel    text collate "C" not null,
    moment     text not null check (moment in ('now', 'digest', 'parked')),
    primary key (overlap_id, agency, channel)
);
create index attention_moment on attention (agency, channel, moment);

-- Records of agencies that were not taken.
create table rejection (
    id          bigint generated always as identity,
    agency      text collate "C" not null,
    topic       text collate "C" not null,
    partition   int not null,
    "offset"    bigint not null,
    reason      text not null,
    pointer     text,
    rejected_at timestamptz not null,
    resolved    boolean not null default false,  -- taken by a replay since
    primary key (topic, partition, "offset")
);
create index rejection_agency on rejection (agency, id);

-- A notice to one agency over one channel, from its timer to its end.
-- `open` ones gather what is to be told; of each kind an agency has at most one over a channel.
create table delivery (
    delivery_id uuid primary key default uuidv7(),
    agency      text collate "C" not null,
    channel     text collate "C" not null,
    kind        text not null check (kind in ('overlaps', 'digest', 'rejections')),
    state       text not null default 'queued'
                check (state in ('queued', 'sending', 'sent', 'failed', 'doubtful', 'skipped')),
    due_at      timestamptz,                     -- the timer; none while sending and after the end
    open        boolean not null generated always as (due_at is not null or state = 'sending') stored,
    attempts    int not null default 0,
    revision    int not null default 0,          -- of what was published of it
    queued_at   timestamptz not null,
    sending_at  timestamptz,
    ended_at    timestamptz,
    recipient   text,
    subject     text,
    body        text,
    causes      int not null default 0,
    told_from   bigint,                          -- rejections told: ids beyond the first, up to the second
    told_to     bigint,
    reason      text
);
create unique index delivery_open on delivery (agency, channel, kind) where open;
create unique index delivery_rejections_once on delivery (agency, channel, told_to)
    where kind = 'rejections' and state in ('sending', 'sent', 'doubtful');
create index delivery_told on delivery (agency, channel, told_to) where told_to is not null;
create index delivery_recent on delivery (agency, channel, kind, sending_at);
create index delivery_listing on delivery (queued_at, delivery_id);

-- What a notice told of an overlap, as it stood then. `heard`: the notice was sent, or may have been.
create table telling (
    delivery_id uuid not null,
    overlap_id  uuid not null,
    agency      text collate "C" not null,
    channel     text collate "C" not null,
    what        text not null check (what in ('exclusive', 'review', 'changed', 'again', 'cleared')),
    revision    bigint not null,
    heard       boolean not null,
    live        boolean not null,
    verdict     text collate "C",
    amount_a    bigint,
    amount_b    bigint,
    starts      date,
    ends        date,
    primary key (delivery_id, overlap_id)
);
-- Nothing is told twice: no revision of an overlap, and no overlap as new under one verdict.
create unique index telling_heard on telling (overlap_id, agency, channel, revision) where heard;
create unique index telling_once on telling (overlap_id, agency, channel, what)
    where heard and what in ('exclusive', 'review');
