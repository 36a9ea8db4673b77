-- The overlaps of what was touched. Every statement here runs in the session that holds the detecting duty, the
-- statements of one step on one snapshot. Look-ups are lateral and kept apart (`offset 0`, `limit`): made a row at a
-- time by index, whatever the planner believes of tables that grow from empty within minutes.

-- name: take_marks$
-- Take the oldest marks, or the oldest page of a crowd: what is new in the ledger as it came, into `subject`, what changed there into `touched`; the
-- number of marks taken. Of the groups left only those matter to overlaps that were too large: a payout's own are found
-- by the payout. Households left are to be told of, and looked at for findings.
with taken as (
    delete from mark where id in (select id from mark where page = :page order by id limit :marks)
    returning *
), arriving as (
    insert into subject (household, person, starts, ends, agency, programme, payout_id, rank, live, fresh)
    select u.*, true, true
    from taken t, unnest(t.households, t.persons, t.starts, t.ends, t.agencies, t.programmes, t.payout_ids, t.ranks) u
    where t.fresh
), coming as (
    insert into origin select min(appended) from taken
), touching as (
    insert into touched (agency, payout_id)
    select u.* from taken t, unnest(t.agencies, t.payout_ids) u where not t.fresh
), leaving as (
    insert into left_group (g, person)
    select l.g, l.person from too_large l
    where l.live and l.g in (select g from taken, unnest(left_groups) g)
), poorer as (
    insert into aid_touch (at, households)
    select :now::timestamptz, array_agg(g) from taken, unnest(left_groups) g having count(*) > 0
), parted as (
    insert into finding_touch (at, left_groups)
    select :now::timestamptz, array_agg(g) from taken, unnest(left_groups) g having count(*) > 0)
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
    insert into touched (agency, payout_id) select agency, payout_id from next
), moved as (
    update rejudging r set agency = last.agency, payout_id = last.payout_id
    from (select * from next order by agency desc, payout_id desc limit 1) last
), ended as (
    delete from rejudging where not exists (select from next))
select count(*) from next;

-- name: take_subjects!
-- The touched payouts as they are now, those that are not in the ledger as ended.
with anew as (
    select distinct agency, payout_id from touched
), superseded as (
    delete from subject s using anew t where t.agency = s.agency and t.payout_id = s.payout_id
)
insert into subject (household, person, starts, ends, agency, programme, live, fresh, payout_id, rank)
select p.household, p.person, p.starts, p.ends, t.agency, p.programme, coalesce(p.live, false), false, t.payout_id,
    p.rank
from anew t
left join lateral (
    select * from payout p where p.agency = t.agency and p.payout_id = t.payout_id limit 1) p on true;

-- name: share_households!
-- Each live subject with the other live payouts of its household: no more than make it too large, and none of one
-- known to be too large. By household, so that neighbours in the index are read together.
insert into candidate (
    household, person, starts, ends, agency, programme, payout_id, other_household, other_person, other_starts,
    other_ends, other_agency, other_programme, other_payout_id)
select x.household, x.person, x.starts, x.ends, x.agency, x.programme, x.payout_id, y.*
from (
    select * from subject where live and household not in (select g from too_large where live) order by household) x
cross join lateral (
    select household, person, starts, ends, agency, programme, payout_id from payout p
    where p.live and p.household = x.household and (p.payout_id <> x.payout_id or p.agency <> x.agency)
    limit :at_most) y
limit :pairs;

-- name: share_persons!
-- Each live subject with the other live payouts of its person elsewhere, or, where its household is known to be too
-- large, within it; likewise limited. To either side of the household, so that the index alone says that a person has
-- no other; and by person.
insert into candidate (
    household, person, starts, ends, agency, programme, payout_id, other_household, other_person, other_starts,
    other_ends, other_agency, other_programme, other_payout_id)
select x.household, x.person, x.starts, x.ends, x.agency, x.programme, x.payout_id, y.*
from (
    select *, household in (select g from too_large where live) as household_large
    from subject where live and person not in (select g from too_large where live) order by person) x
cross join lateral (
    (select household, person, starts, ends, agency, programme, payout_id from payout p
     where p.live and p.person = x.person and p.household < x.household
       and (p.payout_id <> x.payout_id or p.agency <> x.agency)
     limit :at_most)
    union all
    (select household, person, starts, ends, agency, programme, payout_id from payout p
     where p.live and p.person = x.person and p.household > x.household
       and (p.payout_id <> x.payout_id or p.agency <> x.agency)
     limit :at_most)
    union all
    (select household, person, starts, ends, agency, programme, payout_id from payout p
     where p.live and p.person = x.person and p.household = x.household and x.household_large
       and (p.payout_id <> x.payout_id or p.agency <> x.agency)
     limit :at_most)) y
limit :pairs;

-- name: recall_announced!
-- What stands announced of each subject, by either side; of a payout new in the ledger nothing does.
insert into announced_before (agency_a, payout_a, agency_b, payout_b)
select o.*
from subject x cross join lateral (
    select agency_a, payout_a, agency_b, payout_b from overlap
    where live and agency_a = x.agency and payout_a = x.payout_id
    union all
    select agency_a, payout_a, agency_b, payout_b from overlap
    where live and agency_b = x.agency and payout_b = x.payout_id) o
where not x.fresh
limit :pairs;

-- name: crowded$
-- Whether the subjects make more pairs than one step may judge.
select (select count(*) from candidate) > :pairs or (select count(*) from announced_before) > :pairs;

-- name: put_back$
-- Of a crowd keep as many subjects as make so many pairs, and mark the others again, in pages that each make as many:
-- those with the fewest pairs first. How many these are.
with homes as materialized (
    select household, (select count(*) from (
        select from payout p where p.live and p.household = s.household limit :at_most) p) as size
    from (select distinct household from subject where live) s
    where household not in (select g from too_large where live)
), elsewhere as materialized (
    select person, household, (select count(*) from (
        select from payout p where p.live and p.person = s.person
            and (p.household <> s.household or s.household in (select g from too_large where live))
        limit :at_most) p) as size
    from (select distinct person, household from subject where live) s
    where person not in (select g from too_large where live)
), stood as materialized (
    select x.agency, x.payout_id, (select count(*) from (
        select from overlap where live and agency_a = x.agency and payout_a = x.payout_id
        union all
        select from overlap where live and agency_b = x.agency and payout_b = x.payout_id) o) as size
    from subject x where not x.fresh
), weighed as (
    select agency, payout_id, coalesce(homes.size, 0) + coalesce(elsewhere.size, 0) + coalesce(stood.size, 0) as pairs
    from subject
    left join homes using (household) left join elsewhere using (person, household)
    left join stood using (agency, payout_id)
), paged as (
    select agency, payout_id,
           (sum(pairs) over (order by pairs, agency, payout_id rows unbounded preceding) - pairs) / :pairs::bigint as page
    from weighed
), left_over as (
    delete from subject s using paged q
    where (q.agency, q.payout_id) = (s.agency, s.payout_id) and q.page >= 1
    returning s.agency, s.payout_id, floor(q.page) as page
), marked as (
    insert into mark (fresh, page, agencies, payout_ids, appended)
    select false, true, array_agg(agency), array_agg(payout_id), (select min(appended) from origin)
    from left_over group by page order by page)
select count(*) from left_over;

-- name: forget_gathered!
-- Gather anew: nothing is yet.
with none as (delete from candidate) delete from announced_before;

-- name: resized
-- Touched and left groups that have become too large, or are no longer.
with crowded as materialized (
    select household, person from candidate group by agency, payout_id, household, person having count(*) >= :at_most
), examined as (
    select household as g, false as person from crowded
    union select person, true from crowded
    union select g, person from left_group
    union select g, person from too_large
          where live and g in (select household from subject union all select person from subject)
)
select e.g, e.person, sized.large, coalesce(was.revision, 0) as revision,
       case when sized.large then area_of(e.g, e.person) else was.region end as region
from examined e
cross join lateral (
    select case when e.person
                then exists (select from payout p where p.live and p.person = e.g offset :at_most limit 1)
                else exists (select from payout p where p.live and p.household = e.g offset :at_most limit 1)
           end as large
    offset 0) sized
left join too_large was on was.g = e.g
where sized.large <> coalesce(was.live, false);

-- name: resize!
insert into too_large (g, person, revision, live, region, policy_version, announced_at)
select r.*, :version, :now
from unnest(:groups::uuid[], :persons::boolean[], :revisions::bigint[], :large::boolean[], :regions::text[]) r
on conflict (g) do update set
    revision = excluded.revision, live = excluded.live, region = excluded.region,
    policy_version = excluded.policy_version, announced_at = excluded.announced_at;

-- name: relocate
-- Touched groups that stay too large and whose payouts share another area by now; kept. What is new in the ledger and
-- lies in the area that is known changes nothing: a crowd that grows is not gone through at every step.
with large as materialized (
    select g, person, region from too_large
    where live and g in (select g from left_group
                         union all select household from subject union all select person from subject)
), located as materialized (
    select g, area_of(g, person) as region
    from large l
    where g in (select g from left_group) or exists (
        select from subject s
        left join lateral (
            select region from payout p where (p.agency, p.payout_id) = (s.agency, s.payout_id) limit 1) p on true
        where case when l.person then s.person else s.household end = l.g
          and (not s.fresh or not p.region ^@ l.region)))
update too_large l set region = n.region, revision = l.revision + 1, policy_version = :version, announced_at = :now
from located n
where n.g = l.g and (n.region is distinct from l.region or l.announced_at is null)
returning l.g, l.person, true as large, l.revision - 1 as revision, l.region;

-- name: mark_groups!
-- All payouts of groups that changed size are to be judged again: their pairs go, come, or pass to another rule.
insert into mark (fresh, agencies, payout_ids)
select false, array_agg(p.agency), array_agg(p.payout_id)
from unnest(:groups::uuid[]) g
cross join lateral (
    select agency, payout_id from payout where live and household = g
    union all
    select agency, payout_id from payout where live and person = g) p
having count(*) > 0;

-- name: differences
-- The pairs of the subjects that differ from what was announced of them.
-- Rules stand in both directions; a pair of two subjects is found twice and kept once. A new payout that has
-- changed since it came makes no pair here: it left another mark.
with applying as materialized (
    select distinct on (agency_a, payout_a, agency_b, payout_b) *
    from (
        select case when o.xy then c.agency else c.other_agency end as agency_a,
               case when o.xy then c.payout_id else c.other_payout_id end as payout_a,
               case when o.xy then c.other_agency else c.agency end as agency_b,
               case when o.xy then c.other_payout_id else c.payout_id end as payout_b,
               greatest(c.starts, c.other_starts) as starts, least(c.ends, c.other_ends) as ends,
               case when r.person then c.person end as person, r.person as by_person, r.strength, r.id as rule,
               case when o.xy then r.a else r.b end as programme_a, case when o.xy then r.b else r.a end as programme_b
        from candidate c
        join rule r on r.a = c.programme and r.b = c.other_programme
                   and greatest(c.starts, c.other_starts) between r.starts and r.ends
        join agency ax on ax.id = c.agency
        join agency ay on ay.id = c.other_agency
        cross join lateral (select (ax.code, c.payout_id) < (ay.code, c.other_payout_id) as xy) o
        where c.starts <= c.other_ends and c.other_starts <= c.ends
          and case when r.person
                   then c.person = c.other_person and c.person not in (select g from too_large where live)
                   else c.household = c.other_household and c.household not in (select g from too_large where live)
              end) found
    order by agency_a, payout_a, agency_b, payout_b, strength, by_person desc, rule
), want as materialized (
    select w.*, a.revision as revision_a, a.rank as rank_a, a.amount as amount_a,
           b.revision as revision_b, b.rank as rank_b, b.amount as amount_b,
           least(a.amount, b.amount) as amount_at_risk, b.household, b.region, coalesce(b.trace, a.trace) as trace
    from applying w
    cross join lateral (
        select * from payout p where p.agency = w.agency_a and p.payout_id = w.payout_a limit 1) a
    cross join lateral (
        select * from payout p where p.agency = w.agency_b and p.payout_id = w.payout_b limit 1) b
    where w.strength < 2
      and a.live and b.live
      and case when w.by_person then a.person = b.person and a.person = w.person else a.household = b.household end
      and w.starts = greatest(a.starts, b.starts) and w.ends = least(a.ends, b.ends)
      and w.programme_a = a.programme and w.programme_b = b.programme
), gone as (
    select * from announced_before
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
-- Keep what is announced now, by pair, and what was announced of it before.
with anew as (
    delete from announced returning *
), announcing as (
    insert into overlap (
        agency_a, payout_a, agency_b, payout_b, overlap_id, revision, live, rule, by_person, strength, starts, ends,
        household, region, amount_at_risk, amount_a, amount_b, programme_a, programme_b, revision_a, revision_b,
        rank_a, rank_b, person, policy_version, announced_at, reason, ended_a, ended_b)
    select * from anew
    on conflict (agency_a, payout_a, agency_b, payout_b) do update set
        revision = excluded.revision, live = excluded.live, rule = excluded.rule, by_person = excluded.by_person,
        strength = excluded.strength, starts = excluded.starts, ends = excluded.ends, household = excluded.household,
        region = excluded.region, amount_at_risk = excluded.amount_at_risk, amount_a = excluded.amount_a,
        amount_b = excluded.amount_b, programme_a = excluded.programme_a, programme_b = excluded.programme_b,
        revision_a = excluded.revision_a, revision_b = excluded.revision_b, rank_a = excluded.rank_a,
        rank_b = excluded.rank_b, person = excluded.person, policy_version = excluded.policy_version,
        announced_at = excluded.announced_at, reason = excluded.reason, ended_a = excluded.ended_a,
        ended_b = excluded.ended_b
    where excluded.revision > overlap.revision
    returning old as was)
insert into announcement select (was).* from announcing where (was).overlap_id is not null
on conflict do nothing;

-- name: clear!
-- Mark pairs as no longer announced, and keep what was announced of them; their revision goes on when they come back.
with clearing as (
    update overlap o set live = false, revision = c.revision, announced_at = :at, reason = c.reason,
        ended_a = c.ended_a, ended_b = c.ended_b
    from unnest(:ids::uuid[], :revisions::bigint[], :reasons::text[], :ended_a::bigint[], :ended_b::bigint[])
        c (overlap_id, revision, reason, ended_a, ended_b)
    where o.overlap_id = c.overlap_id
    returning old as was)
insert into announcement select (was).* from clearing on conflict do nothing;
