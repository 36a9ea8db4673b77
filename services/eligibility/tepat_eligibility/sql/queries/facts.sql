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
-- Forgets what the registry and visits told of these persons, and has forgotten what was decided of them.
with gone as (delete from person where person = any(:persons::uuid[])),
     seen as (delete from verification where nik = any(:persons::uuid[]))
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
        :traces::text[])
        as told (agency, verification_id, revision, event_time, event_id, digest, nik, programme, outcome,
                 verified_on, region, trace)),
taken as (
    insert into verification as v (
        agency, verification_id, revision, event_time, event_id, digest, nik, programme, outcome, verified_on, region,
        trace)
    select agency, verification_id, revision, event_time, event_id, digest, nik, programme, outcome, verified_on,
        region, trace
    from told order by agency, verification_id
    on conflict (agency, verification_id) do update
        set revision = excluded.revision, event_time = excluded.event_time, event_id = excluded.event_id,
            digest = excluded.digest, nik = excluded.nik, programme = excluded.programme, outcome = excluded.outcome,
            verified_on = excluded.verified_on, region = excluded.region, trace = excluded.trace, taken_at = now()
        where (v.revision, v.event_time, v.event_id, v.digest)
            < (excluded.revision, excluded.event_time, excluded.event_id, excluded.digest)
    returning new.nik, new.trace, old.nik as was)
insert into mark (g, trace)
select distinct g, trace from taken, unnest(array[nik, was]) as g where g is not null;

-- name: mark_everybody!
-- Marks every person, those of one household beside each other.
insert into mark (g) select person from person left join residence using (person) order by household;

-- name: start_sweep!
-- Has programmes decided again for everybody.
insert into sweep (programmes) values (:programmes::text[]);
