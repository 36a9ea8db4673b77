-- Whom an act concerns beside its target: those of a household, those whom a report names, all of a suspicion.
alter table act add column persons uuid[] not null default '{}';
create index act_persons on act using gin (persons);
