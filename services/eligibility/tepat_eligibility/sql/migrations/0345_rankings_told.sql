-- Rankings are told on a topic: with which revision last, and where each who was ranked lives. Distribution tells of those
-- who had their turn otherwise than their place said.
alter table ranking add column revision bigint not null default 0, add column unit text;
alter table ranked add column region text collate "C", add column turn bool;
