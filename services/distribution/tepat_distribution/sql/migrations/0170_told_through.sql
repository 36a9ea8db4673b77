-- Up to where registry and eligibility say that they have told everything, as last heard of each.
create table told_through (
    service  text collate "C" primary key,
    revision bigint not null,
    through  jsonb not null                      -- by topic the offsets, in the order of partitions
);
