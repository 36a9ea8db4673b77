-- Who was erased, as pseudonyms: what was told of them by events no later than `time` is not taken any more.
create table erased (
    person   uuid primary key,
    time     timestamptz not null,
    agency   text collate "C" not null,
    event_id text collate "C" not null,
    taken_at timestamptz not null default now()
);
