-- name: day$
-- The day that residences and decisions are of.
select day from today;

-- name: turn_to!
-- From now on they are of this day.
insert into today (day) values (:day) on conflict (one) do update set day = excluded.day;

-- name: mark_turning!
-- Marks those about whom something changes by itself up to a day.
insert into mark (g) select person from residence where turns_on <= :day;

-- name: orphans
-- Subjects of standing decisions that live nowhere: a rebuilt database knows them from our own topic alone.
select distinct subject::text as subject from decision
where reasons <> all(:withdrawn::text[])
    and not exists (select from residence where person = subject)
    and not exists (select from residence where household = subject);

-- name: take_marks
-- Takes the oldest marks: each person or household once, with the trace of its last mark.
-- By array, not by join: emptied as often as it fills, the table never has statistics to plan a join by.
with taken as (
    delete from mark where id = any(array(select id from mark order by id limit :at_most)) returning id, g, trace)
select distinct on (taken.g) taken.g::text as g, trace from taken order by taken.g, id desc;

-- name: marked
-- The persons marked, and those who live in households marked.
select person::text as person, told, household::text as household
from person left join residence using (person)
where person = any(string_to_array(:g, ',')::uuid[])
union
select person::text, told, household::text from residence join person using (person)
where household = any(string_to_array(:g, ',')::uuid[]);

-- name: renewed
-- Which of these cards were renewed, and by which.
select household::text as household, stands_for::text as stands_for
from renewal where household = any(string_to_array(:households, ',')::uuid[]) and household <> stands_for;

-- name: settle!
-- Persons live in these households from now on.
insert into residence as r (person, household, turns_on)
select person, household, nullif(turns_on, '')::date
from unnest(
    string_to_array(:persons, ',')::uuid[], string_to_array(:households, ',')::uuid[], string_to_array(:turns_on, ','))
    as settled (person, household, turns_on)
on conflict (person) do update set household = excluded.household, turns_on = excluded.turns_on
    where (r.household, r.turns_on) is distinct from (excluded.household, excluded.turns_on);

-- name: unsettle!
-- These NIKs stand for nobody, and live nowhere.
delete from residence where person = any(string_to_array(:persons, ',')::uuid[]);

-- name: touch!
-- Has households decided again: these, and those of persons for whom a NIK was marked.
insert into touched (household, trace)
select distinct on (household) household, trace
from (select * from unnest(:households::uuid[], :traces::text[])
      union all
      select r.household, p.trace
      from unnest(:persons::uuid[], :person_traces::text[]) as p (person, trace) join residence r using (person)
     ) as all_touched (household, trace)
order by household, trace
on conflict (household) do update set trace = coalesce(excluded.trace, touched.trace);

-- name: take_touched
-- Takes some of the households to be decided again.
delete from touched
where household = any(array(select household from touched order by household limit :at_most))
returning household::text as household, trace;

-- name: first_sweep^
-- The sweep in hand.
select id, programmes, after from sweep order by id limit 1;

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

-- name: members
-- Who lives in these households, the deceased among them, in the order of their pseudonyms.
select household::text as household, told from residence join person using (person)
where household = any(string_to_array(:households, ',')::uuid[]) order by person;

-- name: visits
-- The visits made to these NIKs.
select nik::text as nik, verified_on, event_time, event_id, agency, programme, outcome
from verification where nik = any(string_to_array(:niks, ',')::uuid[]);

-- name: decide
-- Keeps decisions that differ from those announced; gives them back with their revisions.
-- A decision is given by its number in the arrays of units, programmes, decisions and reasons.
insert into decision (
    subject, programme, unit, decision, reasons, region, revision, policy_version, as_of, decided_at)
select subject, programme, want.unit, want.decision, want.reasons, want.region, coalesce(have.revision, 0) + 1,
    :policy_version, :as_of, :decided_at
from (
    select subject, region, (:units::text[])[number] as unit, (:programmes::text[])[number] as programme,
        (:decisions::text[])[number] as decision, (:reasons::text[])[number] as reasons
    from (
        select subject, number, nullif(region, '') as region
        from unnest(
            string_to_array(:subjects, ',')::uuid[], string_to_array(:numbers, ',')::int[],
            string_to_array(:regions, ',')) as told (subject, number, region)) as told) as want
left join decision have using (subject, programme)
where (have.unit, have.decision, have.reasons, have.region)
    is distinct from (want.unit, want.decision, want.reasons, want.region)
on conflict (subject, programme) do update
    set unit = excluded.unit, decision = excluded.decision, reasons = excluded.reasons, region = excluded.region,
        revision = excluded.revision, policy_version = excluded.policy_version, as_of = excluded.as_of,
        decided_at = excluded.decided_at
returning subject::text as subject, programme, unit, decision, reasons, region, revision;

-- name: standing$
-- How many decisions that are not withdrawn stand of these subjects (of these programmes, where any are named).
select count(*) from decision
where subject = any(string_to_array(:subjects, ',')::uuid[]) and reasons <> all(:withdrawn::text[])
    and (:only::text[] is null or programme = any(:only::text[]));

-- name: standing_of
-- Which those are.
select subject::text as subject, programme, unit from decision
where subject = any(string_to_array(:subjects, ',')::uuid[]) and reasons <> all(:withdrawn::text[])
    and (:only::text[] is null or programme = any(:only::text[]));

-- name: withdraw
-- Withdraws decisions, each for its reason.
update decision d
set decision = 'ineligible', reasons = w.reasons, revision = d.revision + 1, policy_version = :policy_version,
    as_of = :as_of, decided_at = :decided_at
from unnest(:subjects::uuid[], :programmes::text[], :reasons::text[]) as w (subject, programme, reasons)
where d.subject = w.subject and d.programme = w.programme
returning d.subject::text as subject, d.programme, d.unit, d.decision, d.reasons, d.region, d.revision;

-- name: left_to_decide$
-- How much is marked, touched or to be swept.
select (select count(*) from mark) + (select count(*) from touched) + (select count(*) from sweep);
