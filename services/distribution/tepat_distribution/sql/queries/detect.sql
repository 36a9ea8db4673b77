-- The overlaps of what was touched. Every statement here runs in the session that holds the detecting duty.

-- name: take_marks$
-- Take the oldest marks into `touched`; the number of marks taken.
with taken as (
    delete from mark where id in (select id from mark order by id limit :marks)
    returning persons, households
), touching as (
    insert into touched (g, person)
    select distinct g, true from taken, unnest(persons) g where g is not null
    union all
    select distinct g, false from taken, unnest(households) g where g is not null)
select count(*) from taken;

-- name: misjudged
-- Of these tables the ones that grew or shrank threefold since their statistics were taken (8 pages are small).
select c.oid::regclass::text as name
from pg_class c cross join lateral (select pg_relation_size(c.oid) / 8192 as pages) now
where c.oid = any(:names::text[]::regclass[])
  and (now.pages > 3 * greatest(c.relpages, 8) or c.relpages > 3 * greatest(now.pages, 8));

-- name: rejudge_step
-- Touch the next groups of a rejudging and move it on; the last group touched, none when it has ended.
with at as (
    select person, after from rejudging order by person limit 1
), next as (
    select g from at, lateral (
        select distinct household as g from payout where live and not at.person and household > at.after
        order by 1 limit :groups) h
    union all
    select g from at, lateral (
        select distinct payout.person as g from payout where live and at.person and payout.person > at.after
        order by 1 limit :groups) p
), touching as (
    insert into touched (g, person) select g, at.person from next, at
), moved as (
    update rejudging r set after = (select max(g::text)::uuid from next) from at
    where r.person = at.person and exists (select from next)
), ended as (
    delete from rejudging r using at where r.person = at.person and not exists (select from next))
select at.person, (select count(*) from next) as groups from at;

-- name: gather_households!
-- The live payouts of each touched household, at most one more than a group may have.
insert into member
select t.g, t.person, p.person, p.household, p.amount, p.revision, p.starts, p.ends, p.agency, p.programme, p.rank,
       agency.code, p.payout_id, p.region, p.trace
from touched t
cross join lateral (select * from payout where live and household = t.g limit :at_most + 1) p
join agency on agency.id = p.agency
where not t.person;

-- name: gather_persons!
-- The live payouts of each touched person, less those whom a gathered household holds whole: all pairs of a
-- person whose payouts lie in one touched household, of a size that rules apply to, are found there.
insert into member
select t.g, t.person, p.person, p.household, p.amount, p.revision, p.starts, p.ends, p.agency, p.programme, p.rank,
       agency.code, p.payout_id, p.region, p.trace
from touched t
left join (
    select person, any_value(household) as household from member where not by_person group by person
) within on within.person = t.g
cross join lateral (select * from payout where live and payout.person = t.g limit :at_most + 1) p
join agency on agency.id = p.agency
where t.person
  and (within.person is null
       or exists (select from payout o where o.live and o.person = t.g and o.household <> within.household));

-- name: leave_out_large!
-- Leave out the groups that are too large: no rule of their scope applies, and pairs in them are judged by the
-- other group they share.
delete from member m using too_large l where l.g = m.g and l.live;

-- name: resized
-- Touched groups of one kind that have become too large, or are no longer.
with large as (
    select g from member where by_person = :person group by g having count(*) > :at_most
)
select l.g, :person as person, true as large, coalesce(was.revision, 0) as revision
from large l left join too_large was using (g)
where not coalesce(was.live, false)
union all
select t.g, :person, false, was.revision
from touched t join too_large was using (g)
where was.live and t.person = :person and t.g not in (select g from large);

-- name: resize!
insert into too_large (g, person, revision, live)
select * from unnest(:groups::uuid[], :persons::boolean[], :revisions::bigint[], :large::boolean[])
on conflict (g) do update set revision = excluded.revision, live = excluded.live;

-- name: touch_across!
-- A group that became too large hands its pairs to the groups that cross it: touch those too.
insert into touched (g, person)
select distinct case when m.by_person then m.household else m.person end, not m.by_person
from payout p
join unnest(:groups::uuid[], :persons::boolean[]) x (g, person) on true
cross join lateral (select p.person, p.household, x.person as by_person) m
where p.live and ((x.person and p.person = x.g) or (not x.person and p.household = x.g))
  and not exists (select from touched t
                  where t.g = case when m.by_person then m.household else m.person end);

-- name: differences
-- What the touched groups' overlaps are now, against what was announced of them: each pair that differs.
-- A pair belongs to the groups its two payouts share. Both sides cover exactly the pairs of a touched group:
-- a payout that changed has marked the groups it left, so a pair announced under them is found by them.
-- Relies on `leave_out_large`. The lateral look-ups at the end are made a row at a time, by key, whatever the
-- planner believes of the ledger: few pairs differ.
with applying as materialized (
    select distinct on (a.code, a.payout_id, b.code, b.payout_id)
        a.agency as agency_a, a.payout_id as payout_a, b.agency as agency_b, b.payout_id as payout_b,
        a.revision as revision_a, b.revision as revision_b, a.rank as rank_a, b.rank as rank_b,
        a.programme as programme_a, b.programme as programme_b, a.amount as amount_a, b.amount as amount_b,
        least(a.amount, b.amount) as amount_at_risk, b.household, b.region, coalesce(b.trace, a.trace) as trace,
        case when r.person then a.person end as person,
        case when a.person = b.person then a.person end as shared_person,
        case when a.household = b.household then a.household end as shared_household,
        greatest(a.starts, b.starts) as starts, least(a.ends, b.ends) as ends,
        r.id as rule, r.person as by_person, r.strength
    from member a
    join member b on b.g = a.g and a.starts <= b.ends and b.starts <= a.ends
                 and (a.code, a.payout_id) < (b.code, b.payout_id)
    join rule r on r.a = a.programme and r.b = b.programme
               and greatest(a.starts, b.starts) between r.starts and r.ends
    where case when r.person then a.person = b.person else a.household = b.household end
      and not exists (select from too_large l
                      where l.live and l.g = case when r.person then a.person else a.household end)
    order by a.code, a.payout_id, b.code, b.payout_id, r.strength, r.person desc, r.id
), want as materialized (
    select * from applying where strength < 2
), have as materialized (
    select distinct on (overlap_id) *
    from (
        select o.* from touched t join overlap o on o.shared_household = t.g
        where o.live and not t.person
          and (not o.by_person or not exists (select from too_large l where l.g = t.g and l.live))
        union all
        select o.* from touched t join overlap o on o.shared_person = t.g
        where o.live and t.person
          and (o.by_person or not exists (select from too_large l where l.g = t.g and l.live))) o
    order by overlap_id
), differing as (
    select w.*, h.agency_a as had_agency_a, h.payout_a as had_payout_a, h.agency_b as had_agency_b,
           h.payout_b as had_payout_b
    from want w full join have h
      on (w.agency_a, w.payout_a, w.agency_b, w.payout_b) = (h.agency_a, h.payout_a, h.agency_b, h.payout_b)
    where (w.rule, w.by_person, w.strength, w.starts, w.ends, w.household, w.region, w.amount_a, w.amount_b,
           w.programme_a, w.programme_b, w.revision_a, w.revision_b, w.rank_a, w.rank_b,
           w.person, w.shared_person, w.shared_household)
      is distinct from
          (h.rule, h.by_person, h.strength, h.starts, h.ends, h.household, h.region, h.amount_a, h.amount_b,
           h.programme_a, h.programme_b, h.revision_a, h.revision_b, h.rank_a, h.rank_b,
           h.person, h.shared_person, h.shared_household)
)
select coalesce(d.agency_a, d.had_agency_a) as agency_a, coalesce(d.payout_a, d.had_payout_a) as payout_a,
       coalesce(d.agency_b, d.had_agency_b) as agency_b, coalesce(d.payout_b, d.had_payout_b) as payout_b,
       d.rule is not null as wanted,
       d.revision_a, d.revision_b, d.rank_a, d.rank_b, d.programme_a, d.programme_b, d.amount_a, d.amount_b,
       d.amount_at_risk, d.household, d.region, d.trace, d.person, d.shared_person, d.shared_household, d.starts, d.ends,
       d.rule, d.by_person, d.strength,
       o.had, pa.now as now_a, pb.now as now_b
from differing d
left join lateral (
    select o as had from overlap o
    where (o.agency_a, o.payout_a) = (coalesce(d.agency_a, d.had_agency_a), coalesce(d.payout_a, d.had_payout_a))
      and (o.agency_b, o.payout_b) = (coalesce(d.agency_b, d.had_agency_b), coalesce(d.payout_b, d.had_payout_b))
    limit 1) o on true
left join lateral (
    select p as now from payout p
    where d.rule is null and (p.agency, p.payout_id) = (d.had_agency_a, d.had_payout_a) limit 1) pa on true
left join lateral (
    select p as now from payout p
    where d.rule is null and (p.agency, p.payout_id) = (d.had_agency_b, d.had_payout_b) limit 1) pb on true;

-- name: announce!
-- Keep what is announced now, by pair.
insert into overlap (
    agency_a, payout_a, agency_b, payout_b, overlap_id, revision, live, rule, by_person, strength, starts, ends,
    household, region, amount_at_risk, amount_a, amount_b, programme_a, programme_b, revision_a, revision_b,
    rank_a, rank_b, person, shared_person, shared_household, policy_version, announced_at)
select * from announced
on conflict (agency_a, payout_a, agency_b, payout_b) do update set
    revision = excluded.revision, live = excluded.live, rule = excluded.rule, by_person = excluded.by_person,
    strength = excluded.strength, starts = excluded.starts, ends = excluded.ends, household = excluded.household,
    region = excluded.region, amount_at_risk = excluded.amount_at_risk, amount_a = excluded.amount_a,
    amount_b = excluded.amount_b, programme_a = excluded.programme_a, programme_b = excluded.programme_b,
    revision_a = excluded.revision_a, revision_b = excluded.revision_b, rank_a = excluded.rank_a,
    rank_b = excluded.rank_b, person = excluded.person, shared_person = excluded.shared_person,
    shared_household = excluded.shared_household, policy_version = excluded.policy_version,
    announced_at = excluded.announced_at;

-- name: clear!
-- Mark pairs as no longer announced; their revision goes on when they come back.
update overlap o set live = false, revision = c.revision, announced_at = :at
from unnest(:ids::uuid[], :revisions::bigint[]) c (overlap_id, revision)
where o.overlap_id = c.overlap_id;
