-- What may be wrong about who is who, and what people decided of it. Persons and cards are pseudonyms here.

-- To be looked at: one row a transaction that changed what is known of these NIKs, or of these cards.
create table look (
    id         bigint generated always as identity primary key,
    niks       bigint[] not null,
    households uuid[] not null
);

-- What is suspected, or was: of two persons that they are one, of two cards that the second renewed the first.
create table suspect (
    pair       text collate "C" primary key,     -- the two pseudonyms, with '+' between
    kind       text collate "C" not null,
    a          uuid not null,
    b          uuid not null,
    state      text collate "C" not null check (state in ('raised', 'dismissed', 'cleared')),
    persons    jsonb not null,                   -- whom it concerns, as pseudonyms
    evidence   jsonb not null,
    region     text collate "C",
    trace      text,
    raised_at  timestamptz not null,
    decided_by text,
    reason     text,
    decided_at timestamptz
);
create index suspect_a on suspect (a) where state <> 'cleared';
create index suspect_b on suspect (b) where state <> 'cleared';
