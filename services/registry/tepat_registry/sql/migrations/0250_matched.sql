-- Whom reports name without a NIK, by name and birth date, and who in the registry that is. Names stand here in the form
-- of linkage.names, with spaces between.
create table sought (
    agency text collate "C" not null,
    report text collate "C" not null,
    region text collate "C" not null,            -- a kelurahan or desa
    words  text collate "C" not null,
    born   text collate "C" not null,            -- as ISO 8601 has it
    at     timestamptz not null,
    primary key (agency, report, words, born)
);
create index sought_key on sought (region, born, words);

-- The NIKs of that name and birth date there, as long as a report seeks one.
create table matched (
    nik    bigint not null,
    person uuid not null,
    region text collate "C" not null,
    words  text collate "C" not null,
    born   text collate "C" not null,
    primary key (region, born, words, nik)
);
create index matched_nik on matched (nik);
create index matched_person on matched (person);

-- Whom reports name for certain: by NIK, or by a name and birth date that one person alone has there.
create view naming as
select agency, report, person, alone, region, at from named
union all
select s.agency, s.report, m.person, null, s.region, s.at
from matched m join sought s on (s.region, s.born, s.words) = (m.region, m.born, m.words)
join number me on me.kind = 0 and me.number = m.nik
where not exists (
    select from matched o join number n on n.kind = 0 and n.number = o.nik
    where (o.region, o.born, o.words) = (m.region, m.born, m.words) and n.stands_for <> me.stands_for);

-- Every report is looked at once, whom it names.
with begun as (delete from recheck)
insert into recheck (after, everyone)
select 0, true where exists (select from statement where type = 'tepat.report.filed.v1')
                  or exists (select from recheck);
