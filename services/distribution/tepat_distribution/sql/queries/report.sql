-- What was planned, paid, ended and found, summed in the database. Each statement reads the ledger once.

-- name: reported
-- Payouts in their present state, the overlaps that stand, and what was `saved`: how many and how much, by what is asked
-- for. `figures` are those that a row counts in: an overdue plan in two. An overlap is its second payout's, of the first
-- day that both cover, as it was announced; a payout counts once, however many overlaps it was in.
-- `regions` none or empty: everywhere. What only the end is known of has no day, and is not among them.
with told as (
    select programme, agency, region, starts as day, amount,
           case when rank = 0 and ends < :today then array['planned', 'unclaimed']
                else array[(array['planned', 'disbursed', 'cancelled', 'returned'])[rank + 1]] end as figures
    from payout
    union all
    select programme_b, agency_b, region, starts, amount_at_risk, array['overlaps']
    from overlap where live
    union all
    select programme, agency, region, starts, amount, array[case what when 'stopped' then 'prevented' else 'recovered' end]
    from (select distinct agency, payout_id, programme, region, starts, amount, what from saved) s
)
select case when :by_programme then programme end as programme, case when :by_agency then agency end as agency,
       left(region, :characters) as area, date_trunc(:period, day)::date as period, figures,
       count(*) as number, sum(amount) as amount
from told
where day between :since and :until
  and (:programme::smallint is null or programme = :programme)
  and (:of_agency::smallint is null or agency = :of_agency)
  and (:region::text is null or region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
group by 1, 2, 3, 4, 5
limit :at_most;

-- name: receiving
-- How many persons or households, by the programme's unit, were paid, by programme and area, each once; and of a
-- programme with criteria how many of these are not decided eligible now. One that left the policy pays households.
select s.programme, s.area, count(*) as receiving,
       case when t.decided then count(*) filter (where d.subject is null) end as not_eligible
from (
    select distinct p.programme, left(p.region, :characters) as area,
           case when t.person then p.person else p.household end as subject
    from payout p left join term t on t.programme = p.programme
    where p.rank = 1 and p.starts between :since and :until
      and (:programme::smallint is null or p.programme = :programme)
      and (:of_agency::smallint is null or p.agency = :of_agency)
      and (:region::text is null or p.region ^@ :region)
      and (cardinality(:regions::text[]) = 0 or p.region ^@ any(:regions::text[]))
    ) s
left join decision d on d.subject = s.subject and d.programme = s.programme and d.standing = 1
left join term t on t.programme = s.programme
group by 1, 2, t.decided
limit :at_most;

-- name: eligible
-- How many persons or households are decided eligible now, by programme and the area they live in, and how many of
-- these were paid, wherever their payouts say that they go.
select d.programme, left(d.region, :characters) as area, count(*) as eligible, count(p.subject) as covered
from decision d
join term t on t.programme = d.programme and t.decided
left join (
    select distinct p.programme, case when t.person then p.person else p.household end as subject
    from payout p join term t on t.programme = p.programme and t.decided
    where p.rank = 1 and p.starts between :since and :until
      and (:programme::smallint is null or p.programme = :programme)
      and (:of_agency::smallint is null or p.agency = :of_agency)
    ) p on p.subject = d.subject and p.programme = d.programme
where d.standing = 1
  and (:programme::smallint is null or d.programme = :programme)
  and (:region::text is null or d.region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or d.region ^@ any(:regions::text[]))
group by 1, 2
limit :at_most;

-- name: ends_alone$
-- Payouts of which only the end was told: nobody knows yet of what programme, area, day and amount they are.
select count(*) from payout where not live and person is null;

-- name: unjudged$
-- What is yet to be judged: until then what overlaps is not the last word.
select (select count(*) from mark) + (select count(*) from rejudging) + (select count(*) from rebuilding);
