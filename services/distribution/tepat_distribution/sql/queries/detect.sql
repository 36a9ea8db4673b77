-- The overlaps of what was touched. Every statement here runs in the session that holds the detecting duty, the
-- statements of one step on one snapshot. Look-ups are lateral and kept apart (`offset 0`, `limit`): made a row at a
-- time by index, whatever the planner believes of tables that grow from empty within minutes.

-- name: take_marks$
-- Take the oldest marks into `touched`; the number of marks taken. Of the groups left only those matter that were
-- too large: a payout's own overlaps are found by the payout.
with taken as (
    delete from mark where id in (select id from mark order by id limit :marks)
    returning agencies, payout_ids, fresh, left_groups
), touching as (
    insert into touched (agency, payout_id, fresh)
    select u.* from taken, unnest(agencies, payout_ids, fresh) u
), leaving as (
    insert into left_group (g, person)
    select l.g, l.person from too_large l
    where l.live and l.g in (select g from taken, unnest(left_groups) g))
select count(*) from taken;

-- name: rejudge_step$
-- Touch the next payouts of a rejudging and move it on, or end it; the number of payouts, none when all is judged.
with next as (
    select p.agency, p.payout_id
    from rejudging r cross join lateral (
        select agency, payout_id from payout p
        where p.live and (p.agency, p.payout_id) > (r.agency, r.payout_id)
        order by agency, payout_id limit :payouts) p
), touching as (
    insert into touched (agency, payout_id, fresh) select agency, payout_id, false from next
), moved as (
    update rejudging r set agency = last.agency, payout_id = last.payout_id
    from (select * from next order by agency desc, payout_id desc limit 1) last
), ended as (
    delete from rejudging where not exists (select from next))
select count(*) from next;

-- name: take_subjects!
-- The touched payouts as they are now, those that are not in the ledger as ended; whether their household or person has more live payouts than it may, and
-- whether the person's are spread over households. By household, so that neighbours in its index are read together.
-- A person who is not spread has no more payouts than the household.
insert into subject (household, person, starts, ends, agency, programme, live, fresh, payout_id,
                     household_large, spread, person_large)
select s.*, g.household_large, g.spread,
       (g.household_large or g.spread)
       and exists (select from payout p where p.live and p.person = s.person offset :at_most limit 1)
from (
    select p.household, p.person, p.starts, p.ends, t.agency, p.programme, coalesce(p.live, false) as live, t.fresh,
           t.payout_id
    from (select agency, payout_id, bool_and(fresh) as fresh from touched group by agency, payout_id) t
    left join payout p on p.agency = t.agency and p.payout_id = t.payout_id
    order by p.household) s
cross join lateral (
    select s.live and exists (
               select from payout p where p.live and p.household = s.household offset :at_most limit 1) as household_large,
           s.live and (
               exists (select from payout p where p.live and p.person = s.person and p.household < s.household)
               or exists (select from payout p where p.live and p.person = s.person and p.household > s.household)
           ) as spread
    offset 0) g;

-- name: resized
-- Touched and left groups that have become too large, or are no longer.
with sized as (
    select household as g, false as person, household_large as large from subject where live
    union all
    select person, true, person_large from subject where live
    union all
    select l.g, l.person,
           case when l.person
                then exists (select from payout p where p.live and p.person = l.g offset :at_most limit 1)
                else exists (select from payout p where p.live and p.household = l.g offset :at_most limit 1) end
    from left_group l
)
select distinct s.g, s.person, s.large, coalesce(was.revision, 0) as revision
from sized s left join too_large was using (g)
where s.large <> coalesce(was.live, false);

-- name: resize!
insert into too_large (g, person, revision, live)
select * from unnest(:groups::uuid[], :persons::boolean[], :revisions::bigint[], :large::boolean[])
on conflict (g) do update set revision = excluded.revision, live = excluded.live;

-- name: touch_groups!
-- All payouts of groups that changed size are to be judged: their pairs go, come, or pass to another rule.
with leaving as (delete from subject)
insert into touched (agency, payout_id, fresh)
select p.agency, p.payout_id, false
from unnest(:groups::uuid[]) g
cross join lateral (
    select agency, payout_id from payout where live and household = g
    union all
    select agency, payout_id from payout where live and person = g) p;

-- name: differences
-- The pairs of the subjects that differ from what was announced of them.
-- Each subject is paired with the live payouts that share its household or person, unless that group is too large.
-- A payout new in the ledger has nothing announced to clear; of the others what was announced is looked up by either
-- side. Rules stand in both directions; a pair of two subjects is found twice and kept once.
with applying as materialized (
    select distinct on (agency_a, payout_a, agency_b, payout_b) *
    from (
        select case when o.xy then x.agency else y.agency end as agency_a,
               case when o.xy then x.payout_id else y.payout_id end as payout_a,
               case when o.xy then y.agency else x.agency end as agency_b,
               case when o.xy then y.payout_id else x.payout_id end as payout_b,
               greatest(x.starts, y.starts) as starts, least(x.ends, y.ends) as ends,
               case when r.person then x.person end as person, r.person as by_person, r.strength, r.id as rule
        from subject x
        cross join lateral (
            select agency, programme, starts, ends, person, household, payout_id from payout
            where live and household = x.household and not x.household_large
            union all
            select agency, programme, starts, ends, person, household, payout_id from payout
            where live and person = x.person and household < x.household and x.spread and not x.person_large
            union all
            select agency, programme, starts, ends, person, household, payout_id from payout
            where live and person = x.person and household > x.household and x.spread and not x.person_large
            union all
            select agency, programme, starts, ends, person, household, payout_id from payout
            where live and person = x.person and household = x.household
              and x.household_large and not x.person_large) y
        join rule r on r.a = x.programme and r.b = y.programme
                   and greatest(x.starts, y.starts) between r.starts and r.ends
        join agency ax on ax.id = x.agency
        join agency ay on ay.id = y.agency
        cross join lateral (select (ax.code, x.payout_id) < (ay.code, y.payout_id) as xy) o
        where x.live and x.starts <= y.ends and y.starts <= x.ends
          and (x.agency, x.payout_id) <> (y.agency, y.payout_id)
          and case when r.person then x.person = y.person and not x.person_large
                   else x.household = y.household and not x.household_large end) found
    order by agency_a, payout_a, agency_b, payout_b, strength, by_person desc, rule
), want as materialized (
    select w.*, a.revision as revision_a, a.rank as rank_a, a.programme as programme_a, a.amount as amount_a,
           b.revision as revision_b, b.rank as rank_b, b.programme as programme_b, b.amount as amount_b,
           least(a.amount, b.amount) as amount_at_risk, b.household, b.region, coalesce(b.trace, a.trace) as trace
    from applying w
    cross join lateral (
        select * from payout p where p.agency = w.agency_a and p.payout_id = w.payout_a limit 1) a
    cross join lateral (
        select * from payout p where p.agency = w.agency_b and p.payout_id = w.payout_b limit 1) b
    where w.strength < 2
), gone as (
    select o.*
    from subject x cross join lateral (
        select agency_a, payout_a, agency_b, payout_b from overlap
        where live and agency_a = x.agency and payout_a = x.payout_id
        union all
        select agency_a, payout_a, agency_b, payout_b from overlap
        where live and agency_b = x.agency and payout_b = x.payout_id) o
    where not x.fresh
    except
    select agency_a, payout_a, agency_b, payout_b from want
)
select d.agency_a, d.payout_a, d.agency_b, d.payout_b, w.rule is not null as wanted,
       w.revision_a, w.revision_b, w.rank_a, w.rank_b, w.programme_a, w.programme_b, w.amount_a, w.amount_b,
       w.amount_at_risk, w.household, w.region, w.trace, w.person, w.starts, w.ends, w.rule, w.by_person, w.strength,
       o.had, pa.now as now_a, pb.now as now_b
from want w
full join gone using (agency_a, payout_a, agency_b, payout_b) as d
left join lateral (
    select o as had from overlap o
    where (o.agency_a, o.payout_a, o.agency_b, o.payout_b) = (d.agency_a, d.payout_a, d.agency_b, d.payout_b)
    limit 1) o on true
left join lateral (
    select p as now from payout p
    where w.rule is null and p.agency = d.agency_a and p.payout_id = d.payout_a limit 1) pa on true
left join lateral (
    select p as now from payout p
    where w.rule is null and p.agency = d.agency_b and p.payout_id = d.payout_b limit 1) pb on true
where w.rule is null or o.had is null or not (o.had).live
   or (w.rule, w.by_person, w.strength, w.starts, w.ends, w.household, w.region, w.amount_a, w.amount_b,
       w.programme_a, w.programme_b, w.revision_a, w.revision_b, w.rank_a, w.rank_b, w.person)
      is distinct from
      ((o.had).rule, (o.had).by_person, (o.had).strength, (o.had).starts, (o.had).ends, (o.had).household,
       (o.had).region, (o.had).amount_a, (o.had).amount_b, (o.had).programme_a, (o.had).programme_b,
       (o.had).revision_a, (o.had).revision_b, (o.had).rank_a, (o.had).rank_b, (o.had).person);

-- name: announce!
-- Keep what is announced now, by pair.
insert into overlap (
    agency_a, payout_a, agency_b, payout_b, overlap_id, revision, live, rule, by_person, strength, starts, ends,
    household, region, amount_at_risk, amount_a, amount_b, programme_a, programme_b, revision_a, revision_b,
    rank_a, rank_b, person, policy_version, announced_at)
select * from announced
on conflict (agency_a, payout_a, agency_b, payout_b) do update set
    revision = excluded.revision, live = excluded.live, rule = excluded.rule, by_person = excluded.by_person,
    strength = excluded.strength, starts = excluded.starts, ends = excluded.ends, household = excluded.household,
    region = excluded.region, amount_at_risk = excluded.amount_at_risk, amount_a = excluded.amount_a,
    amount_b = excluded.amount_b, programme_a = excluded.programme_a, programme_b = excluded.programme_b,
    revision_a = excluded.revision_a, revision_b = excluded.revision_b, rank_a = excluded.rank_a,
    rank_b = excluded.rank_b, person = excluded.person, policy_version = excluded.policy_version,
    announced_at = excluded.announced_at
where excluded.revision > overlap.revision;

-- name: clear!
-- Mark pairs as no longer announced; their revision goes on when they come back.
update overlap o set live = false, revision = c.revision, announced_at = :at
from unnest(:ids::uuid[], :revisions::bigint[]) c (overlap_id, revision)
where o.overlap_id = c.overlap_id;
