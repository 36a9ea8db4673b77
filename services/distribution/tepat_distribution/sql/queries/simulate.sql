-- Pairs of payouts for a simulation, counted. `moving` is the session's own table: payouts that would stand in another
-- household by the proposed policy's ranks of trust. A pair is counted once: in the household that both stand in, else
-- with the person that both are to, else in the household that both would stand in. What a pair depends on is all that
-- a rule asks of it, so that there are few different ones, whatever the size of the ledger.

-- name: find_moving$
-- Find the payouts that would stand elsewhere; how many these are.
with ranked as (
    select a.id, a.code, coalesce(n.trust_rank, 2147483648) as trust_rank
    from agency a left join unnest(:codes::text[], :ranks::bigint[]) n (code, trust_rank) on n.code = a.code
), disputed as materialized (
    select nik from membership group by nik having count(distinct agency) > 1
), would as (
    insert into moving (agency, payout_id, household)
    select p.agency, p.payout_id, coalesce(renewal.stands_for, lived.household)
    from disputed d
    join payout p on p.live and p.person = d.nik
    left join person q on q.nik = p.nik
    cross join lateral (
        select coalesce(
            case when q.nik is not null then (
                select m.household
                from membership m join ranked a on a.id = m.agency
                where m.nik = q.stands_for and m.since <= p.starts and m.until >= p.starts
                order by a.trust_rank, a.code, m.since desc
                limit 1) end,
            case when p.told_kk then p.told else coalesce(q.alone, p.told) end) as household
        offset 0) lived
    left join renewal on renewal.household = lived.household
    where coalesce(renewal.stands_for, lived.household) <> p.household
    returning 1)
select count(*) from would;

-- name: large
-- Groups with more live payouts than a rule applies to: households as they are, as they would be, and persons.
select household as g, 'household' as kind from payout where live group by household having count(*) > :at_most
union all
select coalesce(m.household, p.household), 'proposed'
from payout p left join moving m on (m.agency, m.payout_id) = (p.agency, p.payout_id)
where p.live group by 1 having count(*) > :at_most
union all
select person, 'person' from payout where live group by person having count(*) > :at_most;

-- name: pairs_of_households
-- Pairs in the households of one slice.
with here as materialized (
    select p.household, p.person, p.starts, p.ends, p.programme, p.amount, left(p.region, 5) as area, p.payout_id, a.code,
           coalesce(m.household, p.household) as proposed
    from payout p join agency a on a.id = p.agency
    left join moving m on (m.agency, m.payout_id) = (p.agency, p.payout_id)
    where p.live and p.household between :low and :high and p.starts <= :until and p.ends >= :since
      and p.household <> all(:large::uuid[]))
select x.programme as a, y.programme as b, greatest(x.starts, y.starts) as starts, y.area,
       true as household, x.proposed = y.proposed and x.proposed <> all(:large_then::uuid[]) as proposed,
       x.person = y.person and x.person <> all(:large_persons::uuid[]) as person,
       count(*) as overlaps, sum(least(x.amount, y.amount)) as amount_at_risk
from here x
join here y on y.household = x.household and (x.code, x.payout_id) < (y.code, y.payout_id)
           and x.starts <= y.ends and y.starts <= x.ends
group by 1, 2, 3, 4, 5, 6, 7;

-- name: pairs_of_persons
-- Pairs of the persons of one slice in more than one household, or in one that is too large.
with several as materialized (
    select person from payout
    where live and person between :low and :high and person <> all(:large_persons::uuid[])
    group by person having count(distinct household) > 1 or bool_or(household = any(:large::uuid[]))
), here as materialized (
    select p.household, p.person, p.starts, p.ends, p.programme, p.amount, left(p.region, 5) as area, p.payout_id, a.code,
           coalesce(m.household, p.household) as proposed
    from several s join payout p on p.person = s.person join agency a on a.id = p.agency
    left join moving m on (m.agency, m.payout_id) = (p.agency, p.payout_id)
    where p.live and p.starts <= :until and p.ends >= :since)
select x.programme as a, y.programme as b, greatest(x.starts, y.starts) as starts, y.area,
       false as household, x.proposed = y.proposed and x.proposed <> all(:large_then::uuid[]) as proposed,
       true as person, count(*) as overlaps, sum(least(x.amount, y.amount)) as amount_at_risk
from here x
join here y on y.person = x.person and (x.code, x.payout_id) < (y.code, y.payout_id)
           and x.starts <= y.ends and y.starts <= x.ends
where x.household <> y.household or x.household = any(:large::uuid[])
group by 1, 2, 3, 4, 5, 6, 7;

-- name: pairs_that_would_be
-- Pairs in the households of one slice that somebody would enter, or that would no longer be too large, of payouts that
-- are neither in one household now nor of one person.
with there as materialized (
    select household from (select household from moving union select unnest(:large::uuid[])) h
    where household between :low and :high and household <> all(:large_then::uuid[])
), here as materialized (
    select p.household, p.person, p.starts, p.ends, p.programme, p.amount, left(p.region, 5) as area, p.payout_id, a.code,
           r.household as proposed
    from (
        select t.household, p.agency, p.payout_id from there t join payout p on p.household = t.household
        where p.live and not exists (
            select from moving m where (m.agency, m.payout_id) = (p.agency, p.payout_id))
        union all
        select t.household, m.agency, m.payout_id from there t join moving m on m.household = t.household) r
    join payout p on p.agency = r.agency and p.payout_id = r.payout_id join agency a on a.id = p.agency
    where p.starts <= :until and p.ends >= :since)
select x.programme as a, y.programme as b, greatest(x.starts, y.starts) as starts, y.area,
       false as household, true as proposed, false as person,
       count(*) as overlaps, sum(least(x.amount, y.amount)) as amount_at_risk
from here x
join here y on y.proposed = x.proposed and (x.code, x.payout_id) < (y.code, y.payout_id)
           and x.starts <= y.ends and y.starts <= x.ends
where (x.household <> y.household or x.household = any(:large::uuid[]))
  and (x.person <> y.person or x.person = any(:large_persons::uuid[]))
group by 1, 2, 3, 4, 5, 6, 7;
