-- What is suspected of persons and cards. The duty `look` alone writes `suspect`, but for what people decide, and for
-- circles of merges, which are raised as they close.

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
-- What stands suspected, or dismissed, of these, circles apart.
select * from suspect where state <> 'cleared' and kind <> 'merge_circle' and (a = any(:of::uuid[]) or b = any(:of::uuid[]));

-- name: raise_
-- Raise what is new or was cleared, or has other evidence; what was dismissed stays so. Those raised. A duplicate is
-- withheld until `weigh` raises it.
insert into suspect as s (pair, kind, a, b, state, persons, evidence, region, trace, raised_at)
select pair, kind, a, b, case kind when 'duplicate' then 'withheld' else 'raised' end, persons, evidence, region, trace, :now::timestamptz
from unnest(:pairs::text[], :kinds::text[], :a::uuid[], :b::uuid[], :persons::jsonb[], :evidence::jsonb[],
            :regions::text[], :traces::text[]) n (pair, kind, a, b, persons, evidence, region, trace)
on conflict (pair) do update set
    state = case when s.state = 'cleared' then excluded.state else s.state end, persons = excluded.persons, evidence = excluded.evidence, region = excluded.region, trace = excluded.trace,
    raised_at = case when s.state = 'cleared' then excluded.raised_at else s.raised_at end,
    decided_by = null, reason = null, decided_at = null
where s.state = 'cleared'
   or (s.state in ('raised', 'withheld') and (s.persons, s.evidence, s.region)
       is distinct from (excluded.persons, excluded.evidence, excluded.region))
returning pair, state;

-- name: clear_suspects
-- Clear what is suspected no longer; what was dismissed stays so.
update suspect set state = 'cleared' where pair = any(:pairs::text[]) and state in ('raised', 'withheld')
returning pair, kind, trace, a, b, old.state as was;

-- name: weigh
-- Of the possible duplicates of these persons, not dismissed, raise those that are among the so many most probable of
-- the one and of the other, and withhold the others; those that stand otherwise now.
with around as (
    select pair, a, b from suspect
    where (a = any(:of::uuid[]) or b = any(:of::uuid[]))
      and kind = 'duplicate' and state <> 'cleared' and state <> 'dismissed'
), ends as materialized (
    select a as person from around union select b from around
), places as (
    select pair, row_number() over (partition by person order by probability desc, pair) as place
    from ends cross join lateral (
        select pair, probability from suspect
        where a = person and kind = 'duplicate' and state <> 'cleared' and state <> 'dismissed'
        union all
        select pair, probability from suspect
        where b = person and kind = 'duplicate' and state <> 'cleared' and state <> 'dismissed') every
), wanted as (
    select pair, case when max(place) <= :most then 'raised' else 'withheld' end as state
    from around join places using (pair) group by pair
)
update suspect s set state = w.state, raised_at = case w.state when 'raised' then :now else raised_at end
from wanted w where s.pair = w.pair and s.state <> w.state
returning s.*;

-- What people ask for, and decide.

-- name: suspects
-- The next, the most probable first, in an area or everywhere.
select * from suspect
where (probability < :probability or (probability = :probability and pair > :after))
  and state = :state and (:kind::text is null or kind = :kind)
  and (:region::text is null or region ^@ :region)
order by probability desc, pair limit :most;

-- name: suspect^
select * from suspect where pair = :pair;

-- name: said_last^
-- What was said of it on an agency's topic, where nothing was decided since: what is dismissed or reopened its row keeps.
select substr(act, 9) as decision, who as decided_by, at as decided_at, detail ->> 'reason' as reason,
       detail ->> 'agency' as agency, detail ->> 'into' as into
from (
    select * from act where target = :pair
      and act in ('suspect.merge', 'suspect.unmerge', 'suspect.dismissed', 'suspect.raised')
    order by id desc limit 1) a
where act in ('suspect.merge', 'suspect.unmerge');

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
