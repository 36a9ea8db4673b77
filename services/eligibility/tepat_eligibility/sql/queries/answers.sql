-- name: decisions
-- Decisions as last announced, in the order of subject and programme.
select d.*, reasons, due, score from decision d join explanation e on e.id = d.explanation
where (:after_subject::uuid is null or (subject, programme) > (:after_subject, :after_programme))
    and (:programme::text is null or programme = :programme)
    and (:decision::text is null or decision = :decision)
    and (:unit::text is null or unit = :unit)
    and (:subjects::uuid[] is null or subject = any(:subjects))
    and (:regions::text[] is null or region ^@ any(:regions::text[]))
order by subject, programme
limit :at_most;

-- name: decided
-- How many subjects were decided so, by programme and area: persons or households, by the programme's unit.
select programme, unit, left(region, :characters) as area, count(*) as subjects
from decision
where decision = :decision and not withdrawn
    and (:programme::text is null or programme = :programme)
    and (:region::text is null or region ^@ :region)
    and (:regions::text[] is null or region ^@ any(:regions::text[]))
group by 1, 2, 3 order by 1, 2, 3;

-- name: known
-- What is known of persons: those named, those living in a household named, those standing for one named.
select person, p.revision, taken_at, told, household
from person p left join residence using (person)
where person = any(:g::uuid[]) or person in (select person from residence where household = any(:g::uuid[]))
order by person;

-- name: visits_known
-- The visits made to NIKs, or known by an id.
select * from verification
where nik = any(:niks::uuid[]) or verification_id = :verification_id
order by event_time;

-- name: listed_known
-- The lists on which NIKs stand.
select * from listed where nik = any(:niks::uuid[]) order by event_time;

-- name: ranked_known
-- The rounds in which persons or households were ranked, with their places there.
select * from ranked join ranking using (round) where subject = any(:subjects::uuid[]) order by number, rank;

-- name: objections_known
-- The objections that concern NIKs, or known by an id.
select * from objection
where nik = any(:niks::uuid[]) or objection_id = :objection_id
order by event_time;
