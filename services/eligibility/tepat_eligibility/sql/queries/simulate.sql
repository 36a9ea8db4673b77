-- What a simulation reads beside what deciding does. `moving` is its session's own table: who would live elsewhere.

-- name: count_households$
-- How many households there are.
select count(distinct household) from residence;

-- name: disputed_after
-- The next persons of whose household more than one membership speaks, in the order of their pseudonyms.
select person::text as person, told, household::text as household
from residence join person using (person)
where person > :after and told like '%"agency":"%"agency":"%'
order by person limit :at_most;

-- name: households_begun_after
-- The next households that nobody lives in yet.
select household::text as household
from (select distinct household from moving
      where household > :after and not exists (select from residence r where r.household = moving.household)
      order by household limit :at_most) as next;

-- name: elsewhere
-- Who of these households would live elsewhere, and where.
select person::text as person, moving.household::text as household
from unnest(string_to_array(:households, ',')::uuid[]) as here
join residence on residence.household = here join moving using (person);

-- name: residents_then$
-- Who would live in these households, as `residents` tells who does; of what stands nothing is told.
select string_agg(concat_ws(E'\t', there.household, '', person, '', aliases, region, born, facts), E'\n'
    order by there.household, person)
from (select r.household, r.person
      from unnest(string_to_array(:households, ',')::uuid[]) as here join residence r on r.household = here
      where not exists (select from moving m where m.person = r.person)
      union all
      select m.household, m.person
      from unnest(string_to_array(:households, ',')::uuid[]) as here join moving m on m.household = here) as there
join residence using (person);
