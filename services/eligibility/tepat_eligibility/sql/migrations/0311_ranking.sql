-- Rounds in which the eligible were ranked because there was not enough for all: written once, by a person, and kept.
create table ranking (
    round          text collate "C" primary key,
    number         bigint generated always as identity,
    made_at        timestamptz not null default now(),
    as_of          date not null,
    places         bigint not null,
    ranked         bigint not null,
    programme      text collate "C" not null,
    region         text collate "C" not null,
    policy_version text not null,
    rank_by        text not null,
    who            text not null,
    name           text
);

create table ranked (
    round    text collate "C" not null references ranking,
    subject  uuid not null,
    rank     bigint not null,
    left_out bigint not null,
    score    double precision,
    reached  bool not null,
    facts    text not null,                      -- JSON
    missing  text not null,                      -- JSON
    primary key (round, rank)
);
create unique index ranked_subject on ranked (subject, round);
