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
  and (:region::text is null or region = :region or starts_with(region, :region || '.'))
  and (cardinality(:regions::text[]) = 0
       or exists (select from unnest(:regions::text[]) r where region = r or starts_with(region, r || '.')))
group by 1, 2, 3, 4, 5
limit :at_most;

-- name: receiving
-- How many persons and households were paid, each once, by programme and area.
select programme, left(region, :characters) as area,
       count(distinct person) as person, count(distinct household) as household
from payout
where rank = 1 and starts between :since and :until
  and (:programme::smallint is null or programme = :programme)
  and (:of_agency::smallint is null or agency = :of_agency)
  and (:region::text is null or region = :region or starts_with(region, :region || '.'))
  and (cardinality(:regions::text[]) = 0
       or exists (select from unnest(:regions::text[]) r where region = r or starts_with(region, r || '.')))
group by 1, 2
limit :at_most;

-- name: ends_alone$
-- Payouts of which only the end was told: nobody knows yet of what programme, area, day and amount they are.
select count(*) from payout where not live and person is null;

-- name: unjudged$
-- What is yet to be judged: until then what overlaps is not the last word.
select (select count(*) from mark) + (select count(*) from rejudging) + (select count(*) from rebuilding);
