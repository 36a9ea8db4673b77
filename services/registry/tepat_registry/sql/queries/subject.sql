-- All that is held of one person, for those who have a right to know.

-- name: names_of
-- Every NIK that stands for the same person as this one.
select n.number, n.pseudonym, e.pseudonym as stands_for
from number k join number n on n.kind = 0 and n.stands_for = k.stands_for
join number e on e.kind = 0 and e.number = n.stands_for
where k.kind = 0 and k.pseudonym = :pseudonym
order by n.number = n.stands_for desc, n.number;

-- name: facts_held
select f.*, 'agency.' || f.agency || '.beneficiaries.v1' as topic
from fact f where f.nik = any(:niks::bigint[]) order by f.nik, f.agency, f.since;

-- name: links_held
select l.*, 'agency.' || l.agency || '.beneficiaries.v1' as topic
from link l where l.kind = 0 and (l.from_number = any(:niks::bigint[]) or l.into_number = any(:niks::bigint[]))
order by l.from_number;

-- name: suspects_held
select pair, kind, state, evidence, raised_at, decided_by, reason, decided_at from suspect
where a = any(:persons::uuid[]) or b = any(:persons::uuid[]) or persons ?| :named::text[]
order by pair;

-- name: aid_to
-- What households receive through these persons; there is no index for it, as it is asked for rarely.
select household, payouts from aid
where payouts like any(select '%"' || person || '"%' from unnest(:named::text[]) person)
order by household;

-- name: announced_held
select key, revision, at from announced where key = any(:persons::uuid[]) and digest is not null order by key;

-- name: reports_held
-- The reports that name one of these persons.
select * from statement
where type = :type and (agency, about) in (select agency, report from naming where person = any(:persons::uuid[]))
order by agency, about;
