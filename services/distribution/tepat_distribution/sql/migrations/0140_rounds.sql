-- Rounds of goods and cash: whom eligibility ranked, what they were promised, and what they were given.

-- Rankings as eligibility tells them, part by part; whole once every part is there.
create table ranking (
    round          text collate "C" primary key,
    programme      text collate "C" not null,
    unit           text not null,
    region         text collate "C" not null,
    places         bigint not null,
    ranked         bigint not null,
    parts          int not null,
    policy_version text not null,
    made_at        timestamptz not null
);
create table ranking_part (
    round    text collate "C" not null references ranking,
    part     int not null,
    revision bigint not null,
    primary key (round, part)
);
create table ranked (
    round   text collate "C" not null,
    place   bigint not null,
    part    int not null,
    subject uuid not null,                       -- person or household, by the programme's unit
    region  text collate "C" not null,
    primary key (round, place)
);
create unique index ranked_subject on ranked (subject, round);

create table round (
    round     text collate "C" primary key,
    number    bigint generated always as identity,
    programme text collate "C" not null,
    unit      text not null,
    region    text collate "C" not null,
    ranked    bigint not null,
    day       date not null,
    closes    date not null check (closes >= day),
    each      bigint check (each > 0),           -- rupiah of one, where the round is of cash
    by_coupon boolean not null,                  -- else by the list, door to door
    packages  bigint not null check (packages >= 0),
    stock     bigint not null check (stock >= 0 and stock <= packages), -- those not given out
    secret_id text not null,                     -- under whose secret the coupons are signed
    open      boolean not null default true,
    opened_at timestamptz not null,
    opened_by text not null,
    closed_at timestamptz,
    turns_revision bigint not null default 0     -- with which it was last told who had their turn
);
create unique index round_number on round (number);

-- What a place on the list was promised; nobody twice in a round.
create table coupon (
    round   text collate "C" not null references round,
    place   bigint not null,
    subject uuid,                                -- none: erased
    region  text collate "C" not null,
    state   text not null default 'allocated' check (state in ('allocated', 'delivered', 'returned', 'unclaimed')),
    held    smallint not null default 0 check (held between 0 and 3), -- handed to PSM, RW, resident
    primary key (round, place)
);
create unique index coupon_subject on coupon (subject, round);
create index coupon_left on coupon (round) where state = 'allocated';

create table handover (
    round   text collate "C" not null,
    place   bigint not null,
    step    smallint not null,                   -- to the 1 PSM, 2 RW, 3 resident
    name    text,
    at      timestamptz not null,
    by      text not null,
    primary key (round, place, step)
);

create table delivery (
    round       text collate "C" not null,
    delivery_id text collate "C" not null,
    place       bigint not null,
    at          timestamptz not null,
    officer     text not null,
    region      text collate "C" not null,
    lat         double precision,
    lon         double precision,
    proof       text not null check (proof in ('photo', 'receipt')),
    sha256      text collate "C" not null,
    recorded_at timestamptz not null,
    by          text not null,
    primary key (round, delivery_id)
);
create unique index delivery_place on delivery (round, place);
create index delivery_photo on delivery (sha256) where proof = 'photo';

create table return (
    round       text collate "C" not null,
    place       bigint not null,
    reason      text not null,
    recorded_at timestamptz not null,
    by          text not null,
    primary key (round, place)
);

-- Packages that came in addition, or were lost or spoilt.
create table restock (
    round       text collate "C" not null references round,
    restock_id  text collate "C" not null,
    packages    bigint not null,                 -- less than 0: lost
    reason      text not null,
    recorded_at timestamptz not null,
    by          text not null,
    primary key (round, restock_id)
);

-- Rounds of which something changed, each to be told not before a minute after the last time.
create table round_due (
    round text collate "C" primary key,
    due   timestamptz not null
);
-- What was last told of each round: a digest of its content but the revision.
create table round_told (
    round    text collate "C" primary key,
    revision bigint not null,
    told_at  timestamptz not null,
    digest   bytea not null
);

-- That a kelurahan held a round: as its community reported, or (``round`` not empty) as our own topic told a new database.
create table held (
    programme   text collate "C" not null,
    region      text collate "C" not null,
    day         date not null,
    round       text collate "C" not null default '',
    packages    bigint not null check (packages >= 0),
    revision    bigint not null,
    reported_at timestamptz not null,
    reported_by text not null,
    primary key (programme, region, day, round)
);
