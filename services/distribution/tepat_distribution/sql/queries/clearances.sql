-- Whether planned payouts may go. Every statement of a step runs in the session that holds the duty, on one snapshot.
-- Times of the broker are milliseconds.

-- name: touch_clearances!
-- Of what a step judged: planned payouts, those that may have been, and both sides of the pairs it announced.
with of as (
    select agency, payout_id from subject s
    where rank = 0 or (not fresh and exists (
        select from clearance c where (c.agency, c.payout_id) = (s.agency, s.payout_id) offset 0))
    union
    select * from unnest(:agencies::smallint[], :payout_ids::text[]))
insert into clearance_touch (at, agencies, payout_ids)
select :now, array_agg(agency), array_agg(payout_id) from of having count(*) > 0;

-- name: waiting^
-- The last payouts touched, and whether any payout waits for an answer.
select max(id) as newest,
       max(id) is not null or exists (select from reclearing) or exists (select from behind) as anybody
from clearance_touch;

-- name: reading^
-- The broker's time up to which every payout that agencies sent is read and judged, of partitions that end where is
-- said: the least at which any is read that goes on, or any of its payouts waits to be judged; none: all are at their
-- ends.
select least(
    (select min(coalesce(p.appended, 0))
     from unnest(:topics::text[], :partitions::int[], :ends::bigint[]) e (topic, partition, "end")
     left join position p using (topic, partition)
     where e."end" > coalesce(p.next_offset, 0)),
    (select min(appended) from mark)) as covered;

-- name: heard
-- When an agency's payouts were last heard of.
select topic, max(appended) as at from position where topic = any(:topics::text[]) group by topic;

-- name: silences
select programme, agency, since from silence;

-- name: set_silences!
-- These agencies are silent now, and whatever that changes is answered again.
with told as materialized (
    select * from unnest(:programmes::smallint[], :agencies::smallint[], :since::bigint[])
        told (programme, agency, since)
), differing as (
    select programme from (select * from told except select * from silence) a
    union
    select programme from (select * from silence except select * from told) b
), ended as (
    delete from silence s where not exists (
        select from told t where (t.programme, t.agency) = (s.programme, s.agency))
), kept as (
    insert into silence select * from told
    on conflict (programme, agency) do update set since = excluded.since)
insert into reclearing (programme, agency, payout_id) select programme, 0, '' from differing
on conflict (programme) do update set agency = 0, payout_id = '';

-- name: ask_touched$
-- Ask about the payouts of the oldest touches; how many touches.
with taken as (
    delete from clearance_touch
    where id in (select id from clearance_touch where id <= :newest order by id limit :touches) returning *
), asking as (
    insert into asked (agency, payout_id, behind)
    select distinct u.agency, u.payout_id, false from taken t, unnest(t.agencies, t.payout_ids) u (agency, payout_id))
select count(*) from taken;

-- name: ask_again$
-- Ask about the next payouts of a programme of which every answer is worked out again; whether there is such a one.
with of as (
    select * from reclearing order by programme limit 1
), next as materialized (
    select c.agency, c.payout_id
    from of cross join lateral (
        select agency, payout_id from clearance c
        where c.programme = of.programme and (c.agency, c.payout_id) > (of.agency, of.payout_id)
        order by agency, payout_id limit :payouts) c
), asking as (
    insert into asked (agency, payout_id, behind) select agency, payout_id, false from next
), moved as (
    update reclearing r set agency = last.agency, payout_id = last.payout_id
    from of, (select * from next order by agency desc, payout_id desc limit 1) last where r.programme = of.programme
), ended as (
    delete from reclearing r using of where r.programme = of.programme and not exists (select from next))
select exists (select from of);

-- name: let_wait!
-- Of the payouts asked about those wait of whom not all is read, and are not asked about.
with waiting as (
    delete from asked a using payout p
    where (p.agency, p.payout_id) = (a.agency, a.payout_id) and p.rank = 0 and p.appended >= :covered
    returning a.agency, a.payout_id, p.appended)
insert into behind (since, appended, agency, payout_id)
select :now, appended, agency, payout_id from waiting
on conflict (agency, payout_id) do update set appended = excluded.appended, told = false;

-- name: ask_waiting!
-- Ask about those waiting of which all is read by now, and, as behind, about those that wait too long; they go on waiting.
with read as (
    delete from behind where (agency, payout_id) in (
        select agency, payout_id from behind where appended < :covered order by appended limit :payouts)
    returning agency, payout_id
), late as (
    update behind set told = true where (agency, payout_id) in (
        select agency, payout_id from behind
        where not told and since < :patience and appended >= :covered order by since limit :payouts)
    returning agency, payout_id)
insert into asked (agency, payout_id, behind)
select agency, payout_id, false from read where (agency, payout_id) not in (select agency, payout_id from asked)
union all
select agency, payout_id, true from late where (agency, payout_id) not in (select agency, payout_id from asked);

-- name: forget_unplanned!
-- Of those asked about that are planned no more nothing is answered.
with unplanned as (
    select a.agency, a.payout_id
    from asked a left join lateral (
        select rank from payout p where (p.agency, p.payout_id) = (a.agency, a.payout_id) limit 1) p on true
    where p.rank is distinct from 0
), waiting as (
    delete from behind b using unplanned u where (b.agency, b.payout_id) = (u.agency, u.payout_id))
delete from clearance c using unplanned u where (c.agency, c.payout_id) = (u.agency, u.payout_id);

-- name: crowds_asked
-- The households and persons that are too large, of those asked about.
select distinct l.g, l.person
from asked a
join lateral (
    select household, person from payout p where (p.agency, p.payout_id) = (a.agency, a.payout_id) limit 1) p on true
join too_large l on l.live and l.g in (p.household, p.person)
where exists (select from too_large where live);

-- name: issue_clearances
-- Keeps what is to be answered about those asked; gives back what was kept otherwise, and whether the answer differs.
with wanted as materialized (
    select p.agency, p.payout_id, p.revision, p.programme, p.region, p.trace,
           case when o.holds then 1 when a.behind or s.reasons is not null then 2 else 0 end::smallint as decision,
           coalesce(o.ids, '{}') as overlap_ids,
           coalesce(o.reasons, '{}') || coalesce(l.reasons, '{}') || coalesce(s.reasons, '{}')
               || case when a.behind then array['behind'] else '{}' end as reasons
    from asked a
    cross join lateral (
        select * from payout p where (p.agency, p.payout_id) = (a.agency, a.payout_id) limit 1) p
    left join lateral (
        select bool_or(why in ('exclusive', 'held')) as holds, array_agg(overlap_id order by overlap_id) as ids,
               array_agg(reason(why, rule, code, other) order by why, rule, code, other)
                   filter (where why <> 'review') as reasons
        from (
            select ov.overlap_id, ov.rule, ag.code, ov.other,
                   why(exists (select from withheld w where w.overlap_id = ov.overlap_id),
                       exists (select from released r where r.overlap_id = ov.overlap_id), ov.strength,
                       ov.other_rank = 0 and ov.other_programme <> p.programme and exists (
                           select from rule r where r.id = ov.rule and r.prefer = p.programme)) as why
            from (select overlap_id, strength, rule, agency_b as other_agency, payout_b as other, rank_b as other_rank,
                         programme_b as other_programme
                  from overlap where live and (agency_a, payout_a) = (p.agency, p.payout_id)
                  union all
                  select overlap_id, strength, rule, agency_a, payout_a, rank_a, programme_a
                  from overlap where live and (agency_b, payout_b) = (p.agency, p.payout_id)) ov
            join agency ag on ag.id = ov.other_agency) each) o on true
    left join lateral (
        select array_agg(w.reason order by w.reason) as reasons
        from silence s
        join unnest(:silent::smallint[], :words::text[]) w (agency, reason) on w.agency = s.agency
        where s.programme = p.programme and s.agency <> p.agency) s on true
    left join lateral (
        select array_agg(c.reason order by c.reason) as reasons
        from unnest(:crowds::uuid[], :crowded::text[]) c (g, reason) where c.g in (p.household, p.person)) l on true
    where p.rank = 0)
insert into clearance as c (
    as_of, revision, agency, programme, decision, payout_id, region, policy_version, overlap_ids, reasons)
select :now, revision, agency, programme, decision, payout_id, region, :version, overlap_ids, reasons from wanted
on conflict (agency, payout_id) do update set
    as_of = excluded.as_of, revision = excluded.revision, programme = excluded.programme, decision = excluded.decision,
    region = excluded.region, policy_version = excluded.policy_version, overlap_ids = excluded.overlap_ids,
    reasons = excluded.reasons
where (c.revision, c.decision, c.overlap_ids, c.reasons, c.programme, c.region)
    is distinct from (excluded.revision, excluded.decision, excluded.overlap_ids, excluded.reasons,
                      excluded.programme, excluded.region)
returning new.agency, new.payout_id, new.revision, new.decision, new.overlap_ids::text[] as overlap_ids, new.reasons,
    (old.revision, old.decision, old.overlap_ids, old.reasons)
        is distinct from (new.revision, new.decision, new.overlap_ids, new.reasons) as differs, (
    select trace from payout p where (p.agency, p.payout_id) = (c.agency, c.payout_id)) as trace;

-- name: left_to_clear$
-- What is left to answer now: not what waits for others' payouts and was told to.
select (select count(*) from clearance_touch) + (select count(*) from reclearing)
     + (select count(*) from behind where not told);

-- name: clearances
-- What was last answered, by payout.
select c.*, a.code as agency_code, pr.code as programme_code, p.amount, p.person, p.household
from clearance c
join agency a on a.id = c.agency
join programme pr on pr.id = c.programme
join lateral (select * from payout p where (p.agency, p.payout_id) = (c.agency, c.payout_id) limit 1) p on true
where (:after_agency::text is null or (a.code, c.payout_id) > (:after_agency, :after_payout))
  and (:agency::text is null or a.code = :agency)
  and (:decision::smallint is null or c.decision = :decision)
  and (:programme::text is null or pr.code = :programme)
  and (:payout_id::text is null or c.payout_id = :payout_id)
  and (:region::text is null or c.region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or c.region ^@ any(:regions::text[]))
order by a.code, c.payout_id limit :at_most;

-- name: clearances_by_decision
-- How many payouts each answer holds of, and rupiah, by programme.
select pr.code as programme, c.decision, count(*) as payouts, coalesce(sum(p.amount), 0)::bigint as amount
from clearance c
join programme pr on pr.id = c.programme
join lateral (select amount from payout p where (p.agency, p.payout_id) = (c.agency, c.payout_id) limit 1) p on true
where cardinality(:regions::text[]) = 0 or c.region ^@ any(:regions::text[])
group by 1, 2 order by 1, 2;

-- name: clearances_of
-- What was last answered about payouts.
select c.*, a.code as agency_code
from unnest(:agencies::text[], :payout_ids::text[]) w (code, payout_id)
join agency a on a.code = w.code
join clearance c on (c.agency, c.payout_id) = (a.id, w.payout_id)
order by a.code, c.payout_id;

-- name: recall_clearances!
-- What was last answered, as our own topics say.
-- Of the payout they tell no programme and no area: these are kept when it is next asked about.
insert into clearance (
    as_of, revision, agency, programme, decision, payout_id, region, policy_version, overlap_ids, reasons)
select r.as_of, r.revision, a.id, 0, r.decision, r.payout_id, '', r.version,
       string_to_array(coalesce(r.ids, ''), ',')::uuid[], string_to_array(coalesce(r.reasons, ''), E'\n')
from unnest(
        :as_of::timestamptz[], :revisions::bigint[], :agencies::text[], :decisions::smallint[], :payout_ids::text[],
        :versions::text[], :overlap_ids::text[], :reasons::text[])
    r (as_of, revision, agency, decision, payout_id, version, ids, reasons)
join agency a on a.code = r.agency
on conflict (agency, payout_id) do update set
    as_of = excluded.as_of, revision = excluded.revision, decision = excluded.decision, overlap_ids = excluded.overlap_ids,
    reasons = excluded.reasons, policy_version = excluded.policy_version
where clearance.as_of < excluded.as_of;
