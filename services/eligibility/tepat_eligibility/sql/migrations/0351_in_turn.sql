-- Households are decided, and the erased forgotten, in the order in which they came: what is told of progress waits for
-- those that stood there before, and nobody's turn may be put off by others for ever.
alter table touched add column id bigint generated always as identity;
create index touched_in_turn on touched (id);
alter table erased add column id bigint generated always as identity;
create index erased_in_turn on erased (id);
