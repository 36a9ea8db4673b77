-- What is suspected of persons and cards. The duty `look` alone writes `suspect`, but for what people decide.

-- name: look!
-- Look at these again: NIKs of whom something else is known, cards that people left or that were renewed.
insert into look (niks, households) values (:niks::bigint[], :households::uuid[]);

-- name: take_looks
-- The oldest to be looked at, as they are taken off: at most so many, and no more once they hold enough NIKs.
delete from look where id in (
    select id from (
        select id, sum(cardinality(niks)) over (order by id) - cardinality(niks) as before
        from (select id, niks from look order by id limit :most) f) g
    where before < :enough)
returning niks, households;

-- name: around
-- The cards that facts about these NIKs name, these cards, and all that stand for the same as one of them.
with named as (
    select household from fact where nik = any(:niks::bigint[])
    union select unnest(:households::uuid[])
)
select household as card, household as stands_for from named
where not exists (select from number n where n.kind = 1 and n.pseudonym = household)
union
select n.pseudonym, e.pseudonym
from named m
join number k on k.kind = 1 and k.pseudonym = m.household
join number e on e.kind = 1 and e.number = k.stands_for
join number n on n.kind = 1 and n.stands_for = k.stands_for;

-- name: moved
-- The NIKs of whom facts name several cards, among those under one of these: only they may have moved.
with people as (
    select distinct f.nik from unnest(:households::uuid[]) c (household) cross join lateral (
        select nik from fact where household = c.household limit :most) f)
select f.nik
from people join fact f using (nik) join number n on n.kind = 0 and n.number = f.nik
where n.stands_for = n.number
group by f.nik having count(distinct f.household) > 1;

-- name: people_of
-- The NIKs that stand for a person and that any fact places under one of these cards.
select distinct h.household as card, f.nik
from unnest(:households::uuid[]) h (household)
cross join lateral (select nik from fact where household = h.household limit :most) f
join number n on n.kind = 0 and n.number = f.nik and n.stands_for = n.number;

-- name: cards_stand_for
-- Of these cards those that stand for another one.
select n.pseudonym as card, e.pseudonym as stands_for
from number n join number e on e.kind = 1 and e.number = n.stands_for
where n.kind = 1 and n.stands_for <> n.number and n.pseudonym = any(:households::uuid[]);

-- name: suspects_of
-- What stands suspected, or dismissed, of these.
select * from suspect where state <> 'cleared' and (a = any(:of::uuid[]) or b = any(:of::uuid[]));

-- name: raise_
-- Raise what is new or was cleared, or has other evidence; what was dismissed stays so. Those raised.
insert into suspect as s (pair, kind, a, b, state, persons, evidence, region, trace, raised_at)
select pair, kind, a, b, 'raised', persons, evidence, region, trace, :now::timestamptz
from unnest(:pairs::text[], :kinds::text[], :a::uuid[], :b::uuid[], :persons::jsonb[], :evidence::jsonb[],
            :regions::text[], :traces::text[]) n (pair, kind, a, b, persons, evidence, region, trace)
on conflict (pair) do update set
    state = 'raised', persons = excluded.persons, evidence = excluded.evidence, region = excluded.region, trace = excluded.trace,
    raised_at = case when s.state = 'cleared' then excluded.raised_at else s.raised_at end,
    decided_by = null, reason = null, decided_at = null
where s.state = 'cleared'
   or (s.state = 'raised' and (s.persons, s.evidence, s.region)
       is distinct from (excluded.persons, excluded.evidence, excluded.region))
returning pair;

-- name: clear_suspects
-- Clear what is suspected no longer; what was dismissed stays so.
update suspect set state = 'cleared' where pair = any(:pairs::text[]) and state = 'raised'
returning pair, kind, trace;

-- What people ask for, and decide.

-- name: suspects
-- The next by their names, in an area or everywhere.
select * from suspect
where pair > :after and state = :state and (:kind::text is null or kind = :kind)
  and (:region::text is null or region = :region or starts_with(region, :region || '.'))
order by pair limit :most;

-- name: suspect^
select * from suspect where pair = :pair;

-- name: decide^
-- Decide it, where it stands as it was; as it stands now.
update suspect set state = :becomes, decided_by = :decided_by, reason = :reason, decided_at = :at
where pair = :pair and state = :was
returning *;

-- name: dismissed!
-- What our own topic says was dismissed, and no longer.
with again as (delete from suspect where pair = any(:reopened::text[]) and state = 'dismissed')
insert into suspect (pair, kind, a, b, state, persons, evidence, region, raised_at, decided_by, reason, decided_at)
select pair, kind, a, b, 'dismissed', persons, evidence, region, at, decided_by, reason, at
from unnest(:pairs::text[], :kinds::text[], :a::uuid[], :b::uuid[], :persons::jsonb[], :evidence::jsonb[],
            :regions::text[], :by::text[], :reasons::text[], :at::timestamptz[])
    n (pair, kind, a, b, persons, evidence, region, decided_by, reason, at)
on conflict (pair) do nothing;

-- name: card_numbers
-- A fact that names each of these cards: its data may be more than PostgreSQL takes for JSON.
select h.household, f.data
from unnest(:households::uuid[]) h (household)
cross join lateral (select data from fact where household = h.household limit 1) f;

-- name: link_from^
-- The link that holds from a number.
select revision, into_number from link where kind = :kind and from_number = :number;
