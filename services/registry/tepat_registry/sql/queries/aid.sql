-- What households receive, and those who receive nothing.

-- name: take_aid
-- Take what is newer; the households taken.
insert into aid as a (household, revision, others, payouts)
select * from unnest(:households::uuid[], :revisions::bigint[], :others::bigint[], :payouts::text[])
on conflict (household) do update set
    revision = excluded.revision, others = excluded.others, payouts = excluded.payouts
where excluded.revision > a.revision
returning household;

-- name: forget_aid!
delete from aid where household = any(:households::uuid[]);

-- name: forget_received!
delete from received where household = any(:households::uuid[]);

-- name: take_received!
insert into received (household, person, programme, days)
select household, person, programme, range_agg(daterange(starts, ends, '[]'))
from unnest(:households::uuid[], :persons::uuid[], :programmes::text[], :starts::date[], :ends::date[])
     r (household, person, programme, starts, ends)
group by household, person, programme;

-- name: aid_of
-- What is received under one of these cards.
select * from aid where household = any(:households::uuid[]);

-- name: forget_named
-- Forget whom these reports name or seek; whom they named, and who was found.
with these as (
    select * from unnest(:agencies::text[], :reports::text[])
), told as (
    delete from named where (agency, report) in (select * from these) returning nik
), gone as (
    delete from sought where (agency, report) in (select * from these) returning region, born, words
)
select nik from told union select nik from gone join matched using (region, born, words);

-- name: reports_to_look_at
-- The reports filed, while everyone is to be looked at.
select *, taken_at as at from statement where type = :filed and exists (select from recheck where everyone);

-- name: take_named!
insert into named (agency, report, nik, person, alone, region, at)
select * from unnest(:agencies::text[], :reports::text[], :niks::bigint[], :persons::uuid[], :alone::uuid[],
                     :regions::text[], :at::timestamptz[])
on conflict do nothing;

-- name: take_sought!
insert into sought (agency, report, region, words, born, at)
select * from unnest(:agencies::text[], :reports::text[], :regions::text[], :words::text[], :born::text[],
                     :at::timestamptz[])
on conflict do nothing;

-- name: residents_born
-- Who is said to live in an area, and to be born on a day, by pairs of these.
select distinct f.nik
from unnest(:regions::text[], :born::text[]) w (region, born)
join fact f on substring(f.data from '"region":"([0-9.]+)"') = w.region and (f.until is null or f.until >= f.since)
where exists (select from fact b where b.nik = f.nik and b.data like '%"birth_date":"' || w.born || '"%');

-- name: perhaps_sought
-- Of these NIKs those born on a day on which a report seeks somebody where they live, and those that were matched.
select w.nik from unnest(:niks::bigint[], :regions::text[], :born::text[]) w (nik, region, born)
where exists (select from sought s where (s.region, s.born) = (w.region, w.born))
union select nik from matched where nik = any(:niks::bigint[]);

-- name: keep_matched
-- Of the NIKs asked about only those are matched who are told here, where a report seeks them; those for whom that may
-- change who is meant.
with told as (
    select n.nik, n.person, n.region, n.words, n.born
    from unnest(:niks::bigint[], :persons::uuid[], :regions::text[], :words::text[], :born::text[])
        n (nik, person, region, words, born)
    where exists (select from sought s where (s.region, s.born, s.words) = (n.region, n.born, n.words))
), gone as (
    delete from matched m
    where nik = any(:about::bigint[])
      and not exists (select from told t where (t.nik, t.region, t.born, t.words) = (m.nik, m.region, m.born, m.words))
    returning nik, region, born, words
), come as (
    insert into matched (nik, person, region, words, born) select * from told on conflict do nothing
    returning nik, region, born, words
), changed as (
    select * from gone union select * from come
)
select nik from changed union select m.nik from matched m join changed c using (region, born, words);

-- name: named_of
-- Of these persons those whom a report names, first when and where.
select person, (array_agg(alone))[1] as alone, min(at) as at, (array_agg(region order by at, region))[1] as region
from naming where person = any(:persons::uuid[]) group by person;

-- name: reports_naming
-- The reports that name one of these persons.
select distinct n.agency, n.report, n.at, n.region, s.data, a.data as answer
from naming n
join statement s on (s.agency, s.type, s.about) = (n.agency, :filed, n.report)
left join statement a on (a.agency, a.type, a.about) = (n.agency, :answered, n.report)
where n.person = any(:persons::uuid[])
order by n.at, n.agency, n.report;

-- name: institutions_near
-- Institutions that name one of these areas.
select agency, about, data from statement
where type = :type
  and exists (select from jsonb_array_elements_text(data::jsonb -> 'regions') r where r = any(:areas::text[]))
order by agency, about limit 1000;

-- name: keep_needy!
-- Of these persons only those are needy who are told here.
with gone as (
    delete from needy n
    where person = any(:persons::uuid[])
      and not exists (select from unnest(:needy::uuid[], :since::date[]) k (person, since)
                      where (k.person, k.since) = (n.person, n.since)))
insert into needy as n (person, since, until, card, region, decile, deceased_on, known_since, named_at)
select * from unnest(:needy::uuid[], :since::date[], :until::date[], :cards::uuid[], :regions::text[],
                     :deciles::smallint[], :deceased_on::date[], :known_since::date[], :named_at::timestamptz[])
on conflict (person, since) do update set
    until = excluded.until, card = excluded.card, region = excluded.region, decile = excluded.decile,
    deceased_on = excluded.deceased_on, known_since = excluded.known_since, named_at = excluded.named_at
where (n.until, n.card, n.region, n.decile, n.deceased_on, n.known_since, n.named_at)
      is distinct from (excluded.until, excluded.card, excluded.region, excluded.decile, excluded.deceased_on,
                        excluded.known_since, excluded.named_at);

-- name: unserved
-- Households of the needy who receive nothing, those the longest without first.
select * from (
    select u.household, u.region, u.decile, u.persons, u.served_until, coalesce(u.served_until, u.known_since) as since
    from unserved(:on, :decile, :first, :last, :zone, :apart::text[]) u) m
where m.since <= :until
  and (:after_since::date is null or (m.since, m.household) > (:after_since, :after_household::uuid))
  and (cardinality(:regions::text[]) = 0 or m.region ^@ any(:regions::text[]))
order by m.since, m.household limit :at_most;

-- name: unserved_by
-- By area how many households have needy persons, and of them those in which somebody receives nothing.
with needy_of as materialized (
    select household, min(region) as region, count(*) as persons
    from needing(:on, :decile, :first, :last, :zone) group by household
), missed as materialized (
    select household, cardinality(persons) as persons, served_until, coalesce(served_until, known_since) as since
    from unserved(:on, :decile, :first, :last, :zone, :apart::text[])
)
select array_to_string((string_to_array(n.region, '.'))[1 : :level], '.') as region,
       count(*) as needy, count(m.household) as households, coalesce(sum(m.persons), 0)::bigint as persons,
       count(m.household) filter (where m.served_until is null) as never
from needy_of n left join missed m on m.household = n.household and m.since <= :until
where cardinality(:regions::text[]) = 0 or n.region ^@ any(:regions::text[])
group by 1 order by 1;
