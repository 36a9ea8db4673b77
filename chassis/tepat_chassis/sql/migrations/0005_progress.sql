-- Up to where this service has told all that follows from what it reads, as last announced: one row, or none.
create table progress (
    one      bool primary key default true check (one),
    revision bigint not null,
    through  jsonb not null                      -- by topic the offsets, in the order of partitions
);
