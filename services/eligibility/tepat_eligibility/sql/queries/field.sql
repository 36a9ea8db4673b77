-- name: batches
-- The next batches in the order of their names, each with its figures, as far as they lie in these regions; one of which
-- nothing lies there any more has none listed. Visits count from their day on; who is yet to be visited is listed.
with named as (
    select batch
    from (select batch, region from listed union all select batch, region from verification
          union all select batch, region from forgotten) as every
    where batch is not null and (:after::text is null or batch > :after)
        and (:regions::text[] is null or region ^@ any(:regions::text[]))
    group by batch order by batch limit :at_most),
visit as (
    select distinct on (batch, nik) batch, nik, outcome, region, verified_on
    from named join verification using (batch)
    where verified_on <= (select coalesce(max(day), 'infinity') from today)
    order by batch, nik, verified_on desc, event_time desc, event_id desc, agency desc, coalesce(programme, '') desc,
        outcome collate "C" desc, verification_id desc),
person as (
    select batch, nik, coalesce(v.region, l.region) as region, outcome, verified_on, l.listed_on
    from visit v full join (
        select batch, nik, min(region) as region, min(listed_on) as listed_on
        from named join (
            select batch, nik, region, listed_on from listed
            union all
            select batch, nik, region, null from verification
            where verified_on > (select coalesce(max(day), 'infinity') from today)) as every using (batch)
        group by batch, nik) as l using (batch, nik))
select batch, count(nik) as listed, count(outcome) as visited,
    count(*) filter (where outcome = 'confirmed') as confirmed,
    count(*) filter (where outcome = 'rejected') as rejected,
    count(*) filter (where outcome = 'moved') as moved,
    count(*) filter (where outcome = 'deceased') as deceased,
    count(*) filter (where outcome = 'not_found') as not_found,
    min(listed_on) as listed_on, min(verified_on) as first_visit, max(verified_on) as last_visit,
    (select coalesce(sum(persons), 0)::bigint from forgotten f
     where f.batch = named.batch and (:regions::text[] is null or region ^@ any(:regions::text[]))) as forgotten
from named left join (
    select * from person
    where :regions::text[] is null or region ^@ any(:regions::text[])) as here using (batch)
group by batch
order by batch;

-- name: funnel
-- A batch in these regions: all of it (of = 'batch'), and by region, officer, day and reason.
-- Of several visits to one NIK the last counts, in the order in which visits outdate one another, each from its day on:
-- who is yet to be visited is listed.
with visit as (
    select distinct on (nik) nik, outcome, reason, region, officer, verified_on, evidence <> '[]' as evidenced
    from verification
    where batch = :batch and (:agency::text is null or agency = :agency)
        and verified_on <= (select coalesce(max(day), 'infinity') from today)
    order by nik, verified_on desc, event_time desc, event_id desc, agency desc, coalesce(programme, '') desc,
        outcome collate "C" desc, verification_id desc),
person as (
    select nik, coalesce(v.region, l.region) as region, outcome, coalesce(btrim(reason), '') as reason, officer,
        verified_on, evidenced
    from visit v full join (
        select nik, min(region) as region
        from (select nik, batch, agency, region from listed
              union all
              select nik, batch, agency, region from verification
              where verified_on > (select coalesce(max(day), 'infinity') from today)) as every
        where batch = :batch and (:agency::text is null or agency = :agency)
        group by nik) as l using (nik))
select case when grouping(region) = 0 then 'region' when grouping(officer) = 0 then 'officer'
        when grouping(verified_on) = 0 then 'day' when grouping(reason) = 0 then 'reason' else 'batch' end as of,
    region, officer, verified_on, outcome as ended, reason,
    count(*) as listed, count(outcome) as visited,
    count(*) filter (where outcome = 'confirmed') as confirmed,
    count(*) filter (where outcome = 'rejected') as rejected,
    count(*) filter (where outcome = 'moved') as moved,
    count(*) filter (where outcome = 'deceased') as deceased,
    count(*) filter (where outcome = 'not_found') as not_found,
    count(*) filter (where evidenced) as evidenced
from person
where :regions::text[] is null or region ^@ any(:regions::text[])
group by grouping sets ((), (region), (officer), (verified_on), (outcome, reason))
order by of, region, officer, verified_on, count(*) desc, outcome, reason;

-- name: forgotten$
-- How many were forgotten out of a batch, in these regions.
select coalesce(sum(persons), 0)::bigint from forgotten
where batch = :batch
    and (:regions::text[] is null or region ^@ any(:regions::text[]));

-- name: visits_made
-- Visits in the order of agency and id.
select * from verification
where (:after_agency::text is null or (agency, verification_id) > (:after_agency, :after_id))
    and (:batch::text is null or batch = :batch)
    and (:outcome::text is null or outcome = :outcome)
    and (:officer::text is null or officer = :officer)
    and (:regions::text[] is null or region ^@ any(:regions::text[]))
order by agency, verification_id
limit :at_most;

-- name: objections
-- Objections in the order of the day they were filed, agency and id, with the days left to those that are open.
select *, least(filed_on + 14, '9999-12-31') as lapses_on,
    case when state = 'open' and isfinite(filed_on) then (select least(filed_on + 14 - day, 14) from today) end
        as days_left
from objection
where (:after_day::date is null or (filed_on, agency, objection_id) > (:after_day, :after_agency, :after_id))
    and (:state::text is null or state = :state)
    and (:programme::text is null or programme = :programme)
    and (:regions::text[] is null or region ^@ any(:regions::text[]))
order by filed_on, agency, objection_id
limit :at_most;
