-- name: day$
-- The day that residences and decisions are of.
select day from today;

-- name: turn_to!
-- From now on they are of this day.
insert into today (day) values (:day) on conflict (one) do update set day = excluded.day;

-- name: mark_turning!
-- Marks those about whom something changes by itself up to a day.
insert into mark (g) select person from residence where turns_on <= :day;

-- name: any_erased$
select exists (select from erased);

-- name: take_erased
-- Takes those erased first; those told of again since are none.
with taken as (
    delete from erased where person = any(array(select person from erased order by id limit :at_most))
    returning person)
select person::text as person from taken where not exists (select from person p where p.person = taken.person);

-- name: left_by_erased
-- Lets the erased live nowhere; the households they leave, and whether nobody is left there.
with gone as (delete from residence where person = any(:persons::uuid[]) returning household)
select distinct household::text as household,
    not exists (select from residence r where r.household = gone.household and r.person <> all(:persons::uuid[]))
    as emptied
from gone;

-- name: erase_decisions
-- Forgets what was decided of these.
with none as (delete from stands where subject = any(:subjects::uuid[]))
delete from decision where subject = any(:subjects::uuid[]) returning programme, subject;

-- name: retire$
-- Forgets visits, places on lists and objections of days before one, and marks whom they were about; how many.
-- Of batches it is kept how many were forgotten: those of whom nothing is left there.
with gone as (
    delete from verification where verified_on < :before returning nik, batch, region
), unlisted as (
    delete from listed where listed_on < :before returning nik, batch, region
), counted as (
    insert into forgotten (batch, region, persons)
    select batch, region, count(*)
    from (select batch, nik, min(region) as region
          from (select * from gone union all select * from unlisted) as told
          where batch is not null group by batch, nik) as p
    where not exists (
            select from verification v where v.batch = p.batch and v.nik = p.nik and v.verified_on >= :before)
        and not exists (select from listed l where l.batch = p.batch and l.nik = p.nik and l.listed_on >= :before)
    group by batch, region order by batch, region
    on conflict (batch, region) do update set persons = forgotten.persons + excluded.persons
), settled as (
    delete from objection where filed_on < :before returning nik
), about as (select nik from gone union all select nik from unlisted union all select nik from settled
), marked as (insert into mark (g) select distinct nik from about)
select count(*) from about;

-- name: mark_lapsing!
-- Marks those about whom an objection lapses with a day, or, the day having turned back, has not lapsed.
insert into mark (g)
select nik from objection where state = 'open' and filed_on < :day::date - 14
union
select nik from objection where state = 'lapsed' and filed_on >= :day::date - 14;

-- name: mark_coming!
-- Marks those to whom a visit is dated between two days, or about whom an objection is: they count from their day on.
insert into mark (g)
select nik from verification where verified_on > :before and verified_on <= :day
union
select nik from objection where filed_on > :before and filed_on <= :day;

-- name: take_marks
-- Takes the oldest marks: each person or household once, with the trace of its last mark.
-- By array, not by join: emptied as often as it fills, the table never has statistics to plan a join by.
with taken as (
    delete from mark where id = any(array(select id from mark order by id limit :at_most)) returning id, g, trace)
select distinct on (taken.g) taken.g::text as g, trace from taken order by taken.g, id desc;

-- name: marked
-- The persons marked, and those who live in households marked.
with marked as materialized (select unnest(string_to_array(:g, ',')::uuid[]) as g)
select person::text as person, told, household::text as household
from marked join person on person = g left join residence using (person)
union all
select person::text, told, household::text
from marked join residence on household = g join person using (person)
where person <> all(string_to_array(:g, ',')::uuid[]);

-- name: renewed
-- Which of these cards were renewed, and by which.
select household::text as household, stands_for::text as stands_for
from unnest(string_to_array(:households, ',')::uuid[]) as household join renewal using (household)
where household <> stands_for;

-- name: settle!
-- Persons live in these households from now on, and this is told of them. Of one empty text `string_to_array` makes
-- no text at all.
merge into residence r using (
    select person, household, nullif(turns_on, '')::date as turns_on, coalesce(aliases, '') as aliases,
        coalesce(region, '') as region, coalesce(born, '') as born, facts
    from unnest(
        string_to_array(:persons, ',')::uuid[], string_to_array(:households, ',')::uuid[],
        string_to_array(:turns_on, ','), string_to_array(:aliases, ';'), string_to_array(:regions, ','),
        string_to_array(:born, ','), string_to_array(:facts, E'\n'))
        as settled (person, household, turns_on, aliases, region, born, facts)) as s
on r.person = s.person
when not matched then insert (person, household, turns_on, aliases, region, born, facts)
    values (s.person, s.household, s.turns_on, s.aliases, s.region, s.born, s.facts)
when matched and (r.household, r.turns_on, r.aliases, r.region, r.born, r.facts)
        is distinct from (s.household, s.turns_on, s.aliases, s.region, s.born, s.facts)
    then update set household = s.household, turns_on = s.turns_on, aliases = s.aliases, region = s.region,
        born = s.born, facts = s.facts;

-- name: unsettle!
-- These NIKs stand for nobody, and live nowhere.
delete from residence where person = any(string_to_array(:persons, ',')::uuid[]);

-- name: touch!
-- Has households decided again: these, and those of persons for whom a NIK was marked.
insert into touched (household, trace)
select distinct on (household) household, trace
from (select household, nullif(trace, '')
      from unnest(string_to_array(:households, ',')::uuid[], string_to_array(:traces, ',')) as h (household, trace)
      union all
      select r.household, nullif(p.trace, '')
      from unnest(string_to_array(:persons, ',')::uuid[], string_to_array(:person_traces, ','))
          as p (person, trace) join residence r using (person)
     ) as all_touched (household, trace)
order by household, trace
on conflict (household) do update set trace = coalesce(excluded.trace, touched.trace);

-- name: take_touched
-- Takes the households that are to be decided again for longest.
delete from touched
where household = any(array(select household from touched order by id limit :at_most))
returning household::text as household, trace;

-- name: first_sweep^
-- The sweep in hand.
select id, after from sweep order by id limit 1;

-- name: households_after
-- The next households in the order of their pseudonyms.
select household::text as household
from (select distinct household from residence where household > :after order by household limit :at_most) as next;

-- name: sweep_on!
-- The sweep has come so far.
update sweep set after = :after where id = :id;

-- name: end_sweep!
-- The sweep has come to its end.
delete from sweep where id = :id;

-- name: residents$
-- Who lives in these households, the deceased among them, with what stands of either: a line each (`store.Resident`),
-- all in one text, which costs a fraction of rows. In the order of households and persons.
select string_agg(concat_ws(E'\t', here.household, here.stands, r.person,
        coalesce(s.fold || ' ' || s.region, ''), r.aliases, r.region, r.born, r.facts), E'\n'
    order by here.household, r.person)
from (select household, coalesce(fold || ' ' || region, '') as stands
      from unnest(string_to_array(:households, ',')::uuid[]) as household
      left join stands on subject = household offset 0) as here
join residence r using (household) left join stands s on s.subject = r.person;

-- name: visits
-- The visits made to these NIKs.
select nik::text as nik, verified_on, event_time, event_id, agency, programme, outcome, verification_id
from unnest(string_to_array(:niks, ',')::uuid[]) as nik join verification using (nik);

-- name: differing
-- Of the decisions wanted those that stand otherwise or not at all; and those that stand of these subjects and are
-- neither wanted nor withdrawn. Looked up by subject (kept apart by `offset 0`), compared by hash.
with judged as materialized (
    select d.*
    from unnest(string_to_array(:judged, ',')::uuid[]) as j (subject)
    cross join lateral (
        select subject, programme, unit, explanation, region, withdrawn
        from decision where subject = j.subject offset 0) d
), wanted as materialized (
    select subject, nullif(region, '') as region, programme, explanation
    from unnest(
        string_to_array(:subjects, ',')::uuid[], string_to_array(:programmes, E'\n'),
        string_to_array(:explanations, ',')::bigint[], string_to_array(:regions, ','))
        as told (subject, programme, explanation, region))
select subject::text as subject, programme, d.unit, w.subject is not null as wanted
from wanted w full join judged d using (subject, programme)
where case when w.subject is null then not d.withdrawn
           else (w.explanation, w.region, false) is distinct from (d.explanation, d.region, d.withdrawn) end;

-- name: explain!
-- Keeps what decisions are explained by.
insert into explanation (id, reasons, due, score)
select * from unnest(:ids::bigint[], :reasons::text[], :due::text[], :scores::text[])
on conflict do nothing;

-- name: decide
-- Keeps decisions that differ from those announced; gives back their places, with their new revisions.
merge into decision d using (
    select subject, unit, programme, decision, explanation, nullif(region, '') as region, place
    from unnest(
        string_to_array(:subjects, ',')::uuid[], string_to_array(:units, ','), string_to_array(:programmes, E'\n'),
        string_to_array(:decisions, ','), string_to_array(:explanations, ',')::bigint[],
        string_to_array(:regions, ',')) with ordinality
        as told (subject, unit, programme, decision, explanation, region, place)) as w
on d.subject = w.subject and d.programme = w.programme
when not matched then insert (
        subject, programme, unit, decision, explanation, region, revision, policy_version, as_of, decided_at)
    values (w.subject, w.programme, w.unit, w.decision, w.explanation, w.region, 1, :policy_version, :as_of, :decided_at)
when matched and (d.explanation, d.region, d.withdrawn) is distinct from (w.explanation, w.region, false)
    then update set unit = w.unit, decision = w.decision, explanation = w.explanation, region = w.region,
        withdrawn = false, revision = d.revision + 1, policy_version = :policy_version, as_of = :as_of,
        decided_at = :decided_at
returning w.place, d.region, d.revision;

-- name: withdraw
-- Withdraws decisions; gives back their places, with their new revisions.
update decision d
set decision = 'ineligible', explanation = w.explanation, withdrawn = true, revision = d.revision + 1,
    policy_version = :policy_version, as_of = :as_of, decided_at = :decided_at
from unnest(
        string_to_array(:subjects, ',')::uuid[], string_to_array(:programmes, E'\n'),
        string_to_array(:explanations, ',')::bigint[]) with ordinality as w (subject, programme, explanation, place)
where d.subject = w.subject and d.programme = w.programme
returning w.place, d.region, d.revision;

-- name: stand!
-- This stands of subjects from now on: a fold and a region each; nothing of those without a fold.
merge into stands s using (
    select subject, nullif(fold, '')::bigint as fold, coalesce(region, '') as region
    from unnest(string_to_array(:subjects, ',')::uuid[], string_to_array(:folds, ','), string_to_array(:regions, ','))
        as told (subject, fold, region)) as w
on s.subject = w.subject
when matched and w.fold is null then delete
when matched then update set fold = w.fold, region = w.region
when not matched and w.fold is not null then insert (subject, fold, region) values (w.subject, w.fold, w.region);

-- name: forget_explanations!
-- Forgets what no decision is explained by any more.
delete from explanation e where not exists (select from decision d where d.explanation = e.id);

-- name: left_to_decide$
-- How much is marked, touched, to be swept or to be forgotten.
select (select count(*) from mark) + (select count(*) from touched) + (select count(*) from sweep)
    + (select count(*) from erased);

-- name: objections_of
-- The objections that concern these NIKs.
select agency, objection_id, nik::text as nik, programme, grounds, region, filed_on
from unnest(string_to_array(:niks, ',')::uuid[]) as nik join objection using (nik);

-- name: told_of
-- What is told of these persons.
select person::text as person, told from unnest(string_to_array(:niks, ',')::uuid[]) as nik join person on person = nik;

-- name: settle_objections
-- This has become of objections; gives back those of which it had not.
update objection o
set state = s.state, village = s.village, settled_on = s.settled_on, settled_by = s.settled_by
from unnest(
        :agencies::text[], :ids::text[], :states::text[], :villages::text[], :settled_on::date[], :settled_by::text[])
    as s (agency, objection_id, state, village, settled_on, settled_by)
where (o.agency, o.objection_id) = (s.agency, s.objection_id)
    and (o.state, o.village, o.settled_on, o.settled_by)
        is distinct from (s.state, s.village, s.settled_on, s.settled_by)
returning o.state;
