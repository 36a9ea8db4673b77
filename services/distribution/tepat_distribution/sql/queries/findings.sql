-- Findings about payouts. Look-ups are lateral and kept apart (`offset 0`, `limit`), as in ``detect.sql``; what a step
-- of the duty reads is one snapshot.

-- name: touch_findings!
-- What is judged now is to be looked at, in pages.
insert into finding_touch (at, agencies, payout_ids)
select :now::timestamptz, array_agg(agency), array_agg(payout_id)
from (select agency, payout_id, row_number() over () / :payouts as page from subject) s
group by page;

-- name: touch_groups!
-- Of these persons and households something else is said.
insert into finding_group (groups) values (:groups::uuid[]);

-- name: sweep_findings!
-- Begin to look at every payout again, or begin anew.
with begun as (delete from finding_sweep)
insert into finding_sweep (agency, payout_id) values (0, '');

-- name: anybody_told$
-- Whether the registry has told of anybody.
select exists (select from person);

-- name: not_yet$
-- Whether the ledger is yet to be made of the topics: nothing can be known before.
select exists (select from rebuilding) or exists (select from recalled where not judged);

-- name: last_touch$
select max(id) from finding_touch;

-- name: taken_up_to$
-- Whether these partitions are taken up to these offsets.
select not exists (
    select from unnest(:topics::text[], :partitions::int[], :until::bigint[]) e (topic, partition, until)
    left join position p using (topic, partition)
    where coalesce(p.next_offset, 0) < e.until);

-- name: told_up_to$
-- Whether a service has told all that follows from these partitions up to these offsets.
select not exists (
    select from unnest(:topics::text[], :partitions::int[], :until::bigint[]) e (topic, partition, until)
    left join told_through t on t.service = :service
    where coalesce((t.through -> e.topic ->> e.partition)::bigint, 0) < e.until);

-- name: waiting_for^
-- How many pages are touched beyond one, and the revision of what a service told last, none where it told nothing.
select (select count(*) from finding_touch where id > :through) as pages,
       (select revision from told_through where service = :service) as revision;

-- name: take_told_through!
-- Keep up to where services have told everything.
insert into told_through as t (service, revision, through)
select * from unnest(:services::text[], :revisions::bigint[], :through::text[]::jsonb[])
on conflict (service) do update set revision = excluded.revision, through = excluded.through
where excluded.revision > t.revision;

-- name: spread_groups$
-- Touch the payouts of the persons and households noted first; how many notes these were.
with taken as (
    delete from finding_group where id in (select id from finding_group order by id limit :notes)
    returning groups
), theirs as (
    select p.*
    from (select distinct g from taken, unnest(groups) g) w
    cross join lateral (
        select agency, payout_id from payout where live and household = w.g
        union all
        select agency, payout_id from payout where live and person = w.g) p
), touching as (
    insert into finding_touch (at, agencies, payout_ids)
    select :at::timestamptz, array_agg(agency), array_agg(payout_id)
    from (select *, row_number() over () / :payouts as page from theirs) paged
    group by page)
select count(*) from taken;

-- name: sweep_on$
-- Once nothing else is touched, touch the next payouts of a sweep and move it on, or end it; whether there was one.
with next as (
    select p.agency, p.payout_id
    from finding_sweep s cross join lateral (
        select agency, payout_id from payout p
        where p.live and (p.agency, p.payout_id) > (s.agency, s.payout_id)
        order by agency, payout_id limit :at_most) p
    where not exists (select from finding_touch)
), touching as (
    insert into finding_touch (at, agencies, payout_ids)
    select :at::timestamptz, array_agg(agency), array_agg(payout_id)
    from (select *, row_number() over () / :payouts as page from next) paged
    group by page
), moved as (
    update finding_sweep s set agency = last.agency, payout_id = last.payout_id
    from (select * from next order by agency desc, payout_id desc limit 1) last
    returning 1
), ended as (
    delete from finding_sweep where not exists (select from finding_touch) and not exists (select from next)
    returning 1)
select exists (select from moved) or exists (select from ended);

-- name: take_finding_touches$
-- Take the oldest pages up to one: their payouts as they are now, and the groups these are in or gone from; the number
-- of pages.
with taken as (
    delete from finding_touch
    where id in (
        select id from finding_touch
        where id <= :through and (at <= :until or at > :now)  -- touched after now: by a clock that was wrong
        order by id limit :pages)
    returning agencies, payout_ids, left_groups
), looking as (
    insert into looked (agency, payout_id, nik, person, household, starts, amount, programme, rank, live, region)
    select t.agency, t.payout_id, p.nik, p.person, p.household, p.starts, p.amount, p.programme, p.rank,
           coalesce(p.live, false), p.region
    from (select distinct u.* from taken, unnest(agencies, payout_ids) u (agency, payout_id)) t
    left join lateral (
        select * from payout p where p.agency = t.agency and p.payout_id = t.payout_id limit 1) p on true
    returning person, household
), grouping as (
    insert into looked_group (g)
    select g from taken, unnest(left_groups) g
    union select person from looking where person is not null
    union select household from looking where household is not null)
select count(*) from taken;

-- name: found_of_payouts
-- What is found of each payout looked at, by itself.
select f.rule, x.agency, x.payout_id, x.person, x.household, x.programme, x.region, x.amount, x.rank, x.starts,
       d.deceased_on, c.as_of, t.person as of_person, t.regions
from looked x
left join lateral (select deceased_on from person where nik = x.person limit 1) d on true
left join term t on t.programme = x.programme
left join lateral (
    select standing, as_of from decision
    where t.decided and subject = case when t.person then x.person else x.household end and programme = x.programme
    limit 1) c on true
cross join lateral (values
    ('paid_to_deceased', d.deceased_on < x.starts),
    ('not_registered', :told_of_any and not exists (select from person where nik = x.nik offset 0)
                       and not exists (select from erased where nik = x.nik offset 0)),
    ('paid_to_ineligible', c.standing = 2),
    ('paid_unverified', c.standing = 3),
    ('outside_area', cardinality(t.regions) > 0 and x.starts between t.starts and t.ends and not exists (
        select from unnest(t.regions) r where x.region ^@ r or r ^@ x.region))) f (rule, holds)
where x.live and f.holds;

-- name: gather_members!
-- The payouts of each group looked at, of a household those that go by household, of a person all others; none of a
-- group that is too large.
insert into member (g, of_person, person, household, agency, code, payout_id, programme, starts, ends, amount, region,
                    tranche, component)
select w.g, p.of_person, p.person, p.household, p.agency, a.code, p.payout_id, p.programme, p.starts, p.ends, p.amount,
       p.region, m.more ->> 'tranche', m.more ->> 'component'
from (select distinct g from looked_group where g not in (select g from too_large where live)) w
cross join lateral (
    select p.*, false as of_person from payout p join term t on t.programme = p.programme and not t.person
    where p.live and p.household = w.g
    union all
    select p.*, true from payout p left join term t on t.programme = p.programme
    where p.live and p.person = w.g and t.person is not false) p
join agency a on a.id = p.agency
cross join lateral (select p.more::jsonb as more) m;

-- name: found_over_cap
-- Payouts of a group that share periods, one with the next, and exceed together what the policy pays at most for these.
with counted as (
    select m.*, c.component as capped, c.amount as cap, t.period,
           period_number(t.period, m.starts) as first, period_number(t.period, m.ends) as last
    from member m
    join term t on t.programme = m.programme and m.starts between t.starts and t.ends
    join cap c on c.programme = m.programme and (c.component = '' or c.component = m.component)
), stretched as (
    select *, sum(begins) over (
        partition by g, programme, capped order by first, code, payout_id rows unbounded preceding) as stretch
    from (
        select *, case when first <= max(last) over (
            partition by g, programme, capped order by first, code, payout_id
            rows between unbounded preceding and 1 preceding) then 0 else 1 end as begins
        from counted) c
)
select g, of_person, programme, capped as component, min(period) as period, min(first) as first,
       max(last) - min(first) + 1 as periods, min(cap) as cap, sum(amount) as paid,
       min(starts) as starts, max(ends) as ends,
       array_agg(agency order by code, payout_id) as agencies,
       array_agg(payout_id order by code, payout_id) as payout_ids,
       (array_agg(region order by code desc, payout_id desc))[1] as region
from stretched
group by g, of_person, programme, capped, stretch
having sum(amount) > min(cap)::numeric * (max(last) - min(first) + 1);

-- name: found_twice
-- Payouts of a group for one round of a programme.
select g, of_person, programme, tranche, sum(amount) as paid,
       array_agg(agency order by code, payout_id) as agencies,
       array_agg(payout_id order by code, payout_id) as payout_ids,
       (array_agg(region order by code desc, payout_id desc))[1] as region
from member
where tranche is not null
group by g, of_person, programme, tranche
having count(*) > 1;

-- name: stood
-- What stands of the payouts and groups looked at.
select f.*
from looked x
cross join lateral (
    select * from finding f
    where f.agencies[1] = x.agency and f.payout_ids[1] = x.payout_id and not f.of_group offset 0) f
where f.live
union
select f.*
from (select distinct g from looked_group) w
cross join lateral (
    select * from finding f where f.household = w.g offset 0) f
where f.live and f.of_group
union
select f.*
from (select distinct g from looked_group) w
cross join lateral (
    select * from finding f where f.person = w.g offset 0) f
where f.live and f.of_group;

-- name: known_findings
-- Those of these that were ever announced.
select * from finding where finding_id = any(:ids::uuid[]);

-- name: keep_findings!
-- Keep what is announced now, by the greatest revision.
with anew as (delete from announced_finding returning *)
insert into finding (
    finding_id, revision, live, rule, of_group, person, household, programme, agencies, payout_ids, region, evidence,
    policy_version, announced_at)
select * from anew
on conflict (finding_id) do update set
    revision = excluded.revision, live = excluded.live, of_group = excluded.of_group, person = excluded.person,
    household = excluded.household, programme = excluded.programme, agencies = excluded.agencies,
    payout_ids = excluded.payout_ids, region = excluded.region, evidence = excluded.evidence,
    policy_version = excluded.policy_version, announced_at = excluded.announced_at
where excluded.revision > finding.revision;

-- name: take_decisions$
-- Take the newer ones, and note of whom something else stands; the number of those.
with changed as (
    insert into decision as d (subject, programme, revision, standing, as_of, region)
    select n.subject, p.id, n.revision, n.standing, n.as_of, n.region
    from unnest(:subjects::uuid[], :programmes::text[], :revisions::bigint[], :standings::smallint[], :as_of::date[],
                :regions::text[])
        n (subject, code, revision, standing, as_of, region)
    join programme p on p.code = n.code
    order by n.subject, p.id
    on conflict (subject, programme) do update set
        revision = excluded.revision, standing = excluded.standing, as_of = excluded.as_of, region = excluded.region
    where excluded.revision > d.revision
    returning new.subject, coalesce(old.standing, 0) as was, new.standing, old.as_of as was_of, new.as_of
), noted as (
    insert into finding_group (groups)
    select array_agg(distinct subject) from changed
    where greatest(was, standing) > 1 and (was, was_of) is distinct from (standing, as_of)
    having count(*) > 0
    returning cardinality(groups) as subjects)
select coalesce(sum(subjects), 0) from noted;

-- name: forget_decisions!
-- Know nothing of these any more.
with gone as (
    delete from decision d
    using unnest(:subjects::uuid[], :programmes::text[]) n (subject, code) join programme p on p.code = n.code
    where (d.subject, d.programme) = (n.subject, p.id)
    returning d.subject)
insert into finding_group (groups) select array_agg(distinct subject) from gone having count(*) > 0;

-- name: terms
select programme, person, decided, starts, ends, period, regions from term;

-- name: caps
select programme, component, amount from cap;

-- name: forget_terms!
with caps as (delete from cap) delete from term;

-- name: set_term!
insert into term (programme, person, decided, starts, ends, period, regions)
values (:programme, :person, :decided, :starts, :ends, :period, :regions::text[]);

-- name: set_caps!
insert into cap (programme, component, amount)
select * from unnest(:programmes::smallint[], :components::text[], :amounts::bigint[]);

-- name: findings
-- Findings as last announced, in the order of a key, those of groups that are too large among them; `regions` empty:
-- everywhere. Of those that a new database knows only as cleared nothing can be told.
select f.*, a.codes as agencies, p.code as programme
from (
    select finding_id as key, finding_id, rule, revision, live, person, household, programme, agencies as numbers,
           payout_ids, region, evidence, policy_version, announced_at
    from finding where evidence is not null
    union all
    select g, null, 'group_too_large', revision, live, case when person then g end, case when not person then g end,
           null, '{}', '{}', region, null, policy_version, announced_at
    from too_large) f
left join programme p on p.id = f.programme
cross join lateral (
    select coalesce(array_agg(a.code order by n.place), '{}') as codes
    from unnest(f.numbers) with ordinality n (id, place) join agency a on a.id = n.id) a
where (:after::uuid is null or f.key > :after)
  and (:ids::uuid[] is null or f.key = any(:ids))
  and (:live::boolean is null or f.live = :live)
  and (:rule::text is null or f.rule = :rule)
  and (:programme::text is null or p.code = :programme)
  and (:agency::text is null or :agency = any(a.codes))
  and (:household::uuid is null or f.household = :household)
  and (:person::uuid is null or f.person = :person)
  and (:region::text is null or f.region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or f.region ^@ any(:regions::text[]))
order by f.key limit :at_most;

-- name: findings_of
-- The keys of what was found of a person by any of their NIKs, of their payouts, and of the households these were in.
select finding_id as key from finding
where person = any(:persons::uuid[]) or (of_group and household = any(:households::uuid[]))
union
select g from too_large where g = any(:persons::uuid[] || :households::uuid[])
union
select f.finding_id
from unnest(:agencies::text[], :payout_ids::text[]) w (code, payout_id)
join agency a on a.code = w.code
join finding f on f.agencies[1] = a.id and f.payout_ids[1] = w.payout_id and not f.of_group;

-- name: finding_payouts
-- Payouts of a finding, as the ledger has them now.
select w.code as agency, w.payout_id, pr.code as programme, p.starts, p.ends, p.amount, p.rank, p.region, p.more
from unnest(:agencies::text[], :payout_ids::text[]) with ordinality w (code, payout_id, place)
join agency a on a.code = w.code
join payout p on p.agency = a.id and p.payout_id = w.payout_id
left join programme pr on pr.id = p.programme
order by w.place;

-- name: payouts_of_large$
-- How many live payouts a household or person has that is too large.
select (select count(*) from payout where live and household = :household)
     + (select count(*) from payout where live and person = :person);

-- name: large_ever
select g from too_large;
