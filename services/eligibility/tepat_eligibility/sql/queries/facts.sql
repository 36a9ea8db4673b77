-- name: take_persons!
-- Keeps what is newer of persons, and marks them. One row a person.
with taken as (
    insert into person as p (person, revision, told, trace)
    select * from unnest(:persons::uuid[], :revisions::bigint[], :told::text[], :traces::text[])
    on conflict (person) do update
        set revision = excluded.revision, told = excluded.told, trace = excluded.trace, taken_at = now()
        where p.revision < excluded.revision
    returning p.person, p.trace)
insert into mark (g, trace) select person, trace from taken;

-- name: forget_persons!
-- Forgets what the registry, visits, lists and objections told of these persons, and has forgotten what was decided of
-- them. Of their batches it is kept how many were forgotten.
with gone as (delete from person where person = any(:persons::uuid[])),
     seen as (delete from verification where nik = any(:persons::uuid[]) returning batch, nik, region),
     on_list as (delete from listed where nik = any(:persons::uuid[]) returning batch, nik, region),
     counted as (
        insert into forgotten (batch, region, persons)
        select batch, region, count(*)
        from (select batch, min(region) as region
              from (select * from seen union all select * from on_list) as told
              where batch is not null group by batch, nik) as person
        group by batch, region order by batch, region
        on conflict (batch, region) do update set persons = forgotten.persons + excluded.persons),
     objected as (delete from objection where nik = any(:persons::uuid[]))
insert into erased (person) select unnest(:persons::uuid[]) on conflict (person) do nothing;

-- name: take_renewals!
-- Keeps what is newer of cards, and marks the households at either end. One row a card.
with taken as (
    insert into renewal as r (household, stands_for, revision, trace)
    select * from unnest(:households::uuid[], :stand_for::uuid[], :revisions::bigint[], :traces::text[])
    on conflict (household) do update
        set stands_for = excluded.stands_for, revision = excluded.revision, trace = excluded.trace
        where r.revision < excluded.revision
    returning new.household, new.trace, old.stands_for as stood_for)
insert into mark (g, trace)
select g, trace from taken, unnest(array[household, stood_for]) as g where g is not null;

-- name: take_verifications!
-- Keeps what holds of visits, and marks whom they were made to. One row a visit, in the order of their keys.
with told as (
    select * from unnest(
        :agencies::text[], :ids::text[], :revisions::bigint[], :times::timestamptz[], :event_ids::text[],
        :digests::bytea[], :niks::uuid[], :programmes::text[], :outcomes::text[], :days::date[], :regions::text[],
        :traces::text[], :batches::text[], :reasons::text[], :officers::text[], :evidence::text[])
        as told (agency, verification_id, revision, event_time, event_id, digest, nik, programme, outcome,
                 verified_on, region, trace, batch, reason, officer, evidence)),
taken as (
    insert into verification as v (
        agency, verification_id, revision, event_time, event_id, digest, nik, programme, outcome, verified_on, region,
        trace, batch, reason, officer, evidence)
    select agency, verification_id, revision, event_time, event_id, digest, nik, programme, outcome, verified_on,
        region, trace, batch, reason, officer, evidence
    from told order by agency, verification_id
    on conflict (agency, verification_id) do update
        set revision = excluded.revision, event_time = excluded.event_time, event_id = excluded.event_id,
            digest = excluded.digest, nik = excluded.nik, programme = excluded.programme, outcome = excluded.outcome,
            verified_on = excluded.verified_on, region = excluded.region, trace = excluded.trace, taken_at = now(),
            batch = excluded.batch, reason = excluded.reason, officer = excluded.officer, evidence = excluded.evidence
        where (v.revision, v.event_time, v.event_id, v.digest)
            < (excluded.revision, excluded.event_time, excluded.event_id, excluded.digest)
    returning new.nik, new.trace, old.nik as was)
insert into mark (g, trace)
select distinct g, trace from taken, unnest(array[nik, was]) as g where g is not null;

-- name: take_listed!
-- Keeps what holds of lists. One row a batch, NIK and agency, in the order of these.
insert into listed as l (
    agency, batch, nik, revision, event_time, event_id, digest, programme, region, listed_on, trace)
select * from unnest(
    :agencies::text[], :batches::text[], :niks::uuid[], :revisions::bigint[], :times::timestamptz[],
    :event_ids::text[], :digests::bytea[], :programmes::text[], :regions::text[], :days::date[], :traces::text[])
on conflict (batch, nik, agency) do update
    set revision = excluded.revision, event_time = excluded.event_time, event_id = excluded.event_id,
        digest = excluded.digest, programme = excluded.programme, region = excluded.region,
        listed_on = excluded.listed_on, trace = excluded.trace, taken_at = now()
    where (l.revision, l.event_time, l.event_id, l.digest)
        < (excluded.revision, excluded.event_time, excluded.event_id, excluded.digest);

-- name: take_objections!
-- Keeps what holds of objections, and marks whom they concern. One row an objection, in the order of their keys.
with taken as (
    insert into objection as o (
        agency, objection_id, revision, event_time, event_id, digest, nik, programme, grounds, region, filed_on,
        filed_by, evidence, trace)
    select * from unnest(
        :agencies::text[], :ids::text[], :revisions::bigint[], :times::timestamptz[], :event_ids::text[],
        :digests::bytea[], :niks::uuid[], :programmes::text[], :grounds::text[], :regions::text[], :days::date[],
        :filers::text[], :evidence::text[], :traces::text[])
    on conflict (agency, objection_id) do update
        set revision = excluded.revision, event_time = excluded.event_time, event_id = excluded.event_id,
            digest = excluded.digest, nik = excluded.nik, programme = excluded.programme, grounds = excluded.grounds,
            region = excluded.region, filed_on = excluded.filed_on, filed_by = excluded.filed_by,
            evidence = excluded.evidence, trace = excluded.trace, taken_at = now()
        where (o.revision, o.event_time, o.event_id, o.digest)
            < (excluded.revision, excluded.event_time, excluded.event_id, excluded.digest)
    returning new.nik, new.trace)
insert into mark (g, trace) select distinct nik, trace from taken;

-- name: mark_everybody!
-- Marks every person, those of one household beside each other.
insert into mark (g) select person from person left join residence using (person) order by household;

-- name: mark_objected!
-- Marks those about whom something is objected to these programmes.
insert into mark (g) select distinct nik from objection where programme = any(:programmes::text[]);

-- name: start_sweep!
-- Has everybody decided again, from the first.
with begun as (delete from sweep)
insert into sweep default values;
