-- Cases: overlaps with what people decided of them.

-- name: lock_overlap$
-- Let nobody announce an overlap, nor do anything else in its case, until this transaction ends. It changes the row, so
-- that a step of judging under way fails and is made again: it would not see what is done here.
update overlap set revision = revision where overlap_id = :overlap_id returning overlap_id;

-- name: cases_between
-- The overlaps that a code may mean.
select overlap_id from overlap where overlap_id between :least and :greatest limit 2;

-- name: cases
-- Cases in the order of their overlaps' ids, filtered. `state` none: of all overlaps that stand; `regions` none or
-- empty: everywhere; `within`: of an exclusive overlap that nobody has touched. What is neither open nor closed is few,
-- and found by the cases' own index: the planner sees so by `done`, which is a state only where somebody did something.
select k.* from cases k
where (:after::uuid is null or k.overlap_id > :after)
  and (k.live or :state::text = 'closed')
  and (:state::text is null or k.state = :state)
  and (:state::text is null or :state in ('open', 'closed') or k.done = :state)
  and (:strength::smallint is null or k.strength = :strength)
  and (:programme::text is null or k.code_a = :programme or k.code_b = :programme)
  and (:agency::text is null or k.agency_a = :agency or k.agency_b = :agency)
  and (:assigned_to::text is null or k.told ->> 'assigned_to' = :assigned_to)
  and (not :overdue or k.state in ('open', 'held') and :now > coalesce(
        k.deadline,
        case when k.revision is null and k.strength = 0 then k.announced_at + :within::interval end))
  and (:region::text is null or coalesce(k.region, k.told ->> 'region') ^@ :region)
  and (cardinality(:regions::text[]) = 0 or coalesce(k.region, k.told ->> 'region') ^@ any(:regions::text[]))
  and (k.rule is not null or k.told is not null)
order by k.overlap_id limit :at_most;

-- name: payouts_of_case
-- The two payouts of an overlap as they are now.
select a.code as agency, p.payout_id, p.revision, p.rank, pr.code as programme, p.amount, p.starts, p.ends,
       p.region, p.person
from overlap o
cross join lateral (values (o.agency_a, o.payout_a), (o.agency_b, o.payout_b)) s (agency, payout_id)
join payout p on (p.agency, p.payout_id) = (s.agency, s.payout_id)
join agency a on a.id = p.agency
left join programme pr on pr.id = p.programme
where o.overlap_id = :overlap_id
order by a.code, p.payout_id;

-- name: events_of_case
-- Every event about the two payouts of an overlap, of each in the order in which they hold; `last_amount`: as the ledger
-- has it, where what was told before an end is not known.
select a.code as agency, s.payout_id, t.revision, t.rank, t.event_time, t.amount, t.appended, p.amount as last_amount
from overlap o
cross join lateral (values (o.agency_a, o.payout_a), (o.agency_b, o.payout_b)) s (agency, payout_id)
cross join lateral (
    select * from payout_told t where t.agency = s.agency and t.payout_id = s.payout_id offset 0) t
join payout p on (p.agency, p.payout_id) = (s.agency, s.payout_id)
join agency a on a.id = s.agency
where o.overlap_id = :overlap_id
order by a.code, s.payout_id, t.revision, t.rank, t.event_time, t.event_id, t.amount;

-- name: acted$
-- Whether anybody ever acted under an account.
select exists (select from act where who = :account);

-- name: announcements_of
-- What was announced of an overlap, the first first.
select told.*, pa.code as code_a, pb.code as code_b
from (select * from announcement where overlap_id = :overlap_id
      union all
      select * from overlap where overlap_id = :overlap_id) told
left join programme pa on pa.id = told.programme_a
left join programme pb on pb.id = told.programme_b
order by told.revision;

-- name: start_clock!
-- The deadline of these runs, should nobody touch them.
insert into case_clock (at, ids) values (:at, :ids::uuid[]);

-- name: cases_concerned
-- Of overlaps just announced those whose case was judged or closed; of those just cleared those with a case, and those
-- that excluded themselves until a payout ended.
select overlap_id from overlap_case
where overlap_id = any(:announced::uuid[]) and (state <> 'open' or told -> 'judged' is not null)
union
select overlap_id from overlap_case where overlap_id = any(:cleared::uuid[])
union
select overlap_id from overlap where overlap_id = any(:ended::uuid[]) and strength = 0;

-- name: keep_cases
-- Keep cases, each one act further than it stands; those that were kept.
insert into overlap_case as c (overlap_id, revision, state, deadline, due, counts, told)
select w.overlap_id, w.revision, w.state, w.deadline, w.due, w.counts, w.told::jsonb
from unnest(:ids::uuid[], :revisions::bigint[], :states::text[], :deadlines::timestamptz[], :dues::timestamptz[],
            :counts::boolean[], :told::text[]) w (overlap_id, revision, state, deadline, due, counts, told)
order by w.overlap_id
on conflict (overlap_id) do update set
    revision = excluded.revision, state = excluded.state, deadline = excluded.deadline, due = excluded.due,
    counts = excluded.counts, told = excluded.told
where c.revision = excluded.revision - 1
returning overlap_id;

-- name: release!
-- Let payments go or hold them back, or no longer, as these cases say; mark both payouts of those where that changes.
with gone as (
    delete from released r using overlap_case c
    where r.overlap_id = any(:ids::uuid[]) and c.overlap_id = r.overlap_id and c.state <> all(:lets_go::text[])
    returning r.overlap_id
), come as (
    insert into released (overlap_id)
    select overlap_id from overlap_case where overlap_id = any(:ids::uuid[]) and state = any(:lets_go::text[])
    on conflict do nothing
    returning overlap_id
), held as materialized (
    select c.overlap_id from overlap_case c join overlap o using (overlap_id)
    where c.overlap_id = any(:ids::uuid[]) and c.state = any(:holds::text[]) and o.live
), freed as (
    delete from withheld w where w.overlap_id = any(:ids::uuid[]) and w.overlap_id not in (select overlap_id from held)
    returning w.overlap_id
), withholding as (
    insert into withheld (overlap_id) select overlap_id from held on conflict do nothing returning overlap_id
)
insert into mark (fresh, agencies, payout_ids)
select false, array_agg(s.agency), array_agg(s.payout_id)
from (table gone union all table come union all table freed union all table withholding) changed
join overlap o on o.overlap_id = changed.overlap_id
cross join lateral (values (o.agency_a, o.payout_a), (o.agency_b, o.payout_b)) s (agency, payout_id)
having count(*) > 0;

-- name: being_rebuilt$
-- Whether a new database has not yet judged what was announced: what is overdue may have ended long ago.
select exists (select from recalled where not judged);

-- name: due_cases
-- Cases in which something was done whose deadline has passed, the oldest first.
select overlap_id from overlap_case where due <= :now order by due limit :at_most;

-- name: take_clock
-- Overlaps announced by a moment, taken off the clock: those that nobody has touched, and that stand as announced then.
with taken as (
    delete from case_clock where id in (select id from case_clock where at <= :until order by at limit :rows)
    returning id, at, ids
)
select t.id, o.overlap_id
from taken t left join lateral (
    select o.overlap_id
    from unnest(t.ids) w (overlap_id) join overlap o on o.overlap_id = w.overlap_id
    where o.live and o.strength = 0 and o.announced_at = t.at
      and not exists (select from overlap_case c where c.overlap_id = o.overlap_id)) o on true;

-- name: lock_overlaps
-- As ``lock_overlap``, many at once, in one order.
with w as materialized (
    select overlap_id from overlap where overlap_id = any(:ids::uuid[]) order by overlap_id for update
)
update overlap o set revision = o.revision from w where o.overlap_id = w.overlap_id returning o.overlap_id;

-- name: cases_named
-- Overlaps with their cases, what became of their money, and whether their rule prefers one of the two.
select k.*, m.what, m.amount, exists (
           select from rule r join programme p on p.id = r.prefer
           where r.id = k.rule and p.code in (k.code_a, k.code_b) and k.code_a <> k.code_b) as prefers
from cases k
left join lateral (
    select what, amount from saved s where s.overlap_id = k.overlap_id
    union all
    select 'kept', k.amount_at_risk where k.live and k.rank_a = 1 and k.rank_b = 1) m on true
where k.overlap_id = any(:ids::uuid[]);

-- name: terms_in_force$
-- What the policy says of cases.
select document -> 'policy' -> 'cases' from standing order by seq desc limit 1;

-- name: figures
-- What became of money, in rupiah, by programme and kabupaten or kota: a payout once, however many overlaps it was in.
-- Of what was saved that part counts which the policy or somebody judged in any of them; `beside` is the rest.
with each_once as (
    select s.what, s.agency, s.payout_id, s.programme, s.region, s.amount,
           coalesce(bool_or(c.counts), false) as judged
    from saved s left join overlap_case c on c.overlap_id = s.overlap_id
    group by s.what, s.agency, s.payout_id, s.programme, s.region, s.amount
    union all
    select 'kept', o.agency_b, o.payout_b, o.programme_b, o.region, max(o.amount_at_risk), true
    from overlap o left join overlap_case c on c.overlap_id = o.overlap_id
    where o.live and o.rank_a = 1 and o.rank_b = 1
      and (c.state = 'upheld' or (o.ends < :today and coalesce(c.counts, o.strength = 0)))
    group by o.agency_b, o.payout_b, o.programme_b, o.region
)
select p.code as programme, substring(region from '^\d\d(?:\.\d\d)?') as region,
       coalesce(sum(amount) filter (where what = 'stopped' and judged), 0) as prevented,
       count(*) filter (where what = 'stopped' and judged) as payouts_prevented,
       coalesce(sum(amount) filter (where what = 'returned' and judged), 0) as recovered,
       count(*) filter (where what = 'returned' and judged) as payouts_recovered,
       coalesce(sum(amount) filter (where what = 'kept'), 0) as kept,
       count(*) filter (where what = 'kept') as payouts_kept,
       coalesce(sum(amount) filter (where what = 'stopped' and not judged), 0) as prevented_beside,
       coalesce(sum(amount) filter (where what = 'returned' and not judged), 0) as recovered_beside
from each_once join programme p on p.id = each_once.programme
where (:programme::text is null or p.code = :programme)
  and (:region::text is null or region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
group by 1, 2 order by 1, 2;

-- name: recall_cases!
insert into overlap_case as c (overlap_id, revision, state, deadline, due, counts, told)
select w.overlap_id, w.revision, w.state, w.deadline, w.due, w.counts, w.told::jsonb
from unnest(:ids::uuid[], :revisions::bigint[], :states::text[], :deadlines::timestamptz[], :dues::timestamptz[],
            :counts::boolean[], :told::text[]) w (overlap_id, revision, state, deadline, due, counts, told)
on conflict (overlap_id) do update set
    revision = excluded.revision, state = excluded.state, deadline = excluded.deadline, due = excluded.due,
    counts = excluded.counts, told = excluded.told
where excluded.revision > c.revision;

-- name: recalled_in_doubt
-- Cases read back that were judged, or closed, of overlaps that stand: they may have been told before these changed.
select c.overlap_id
from overlap_case c join overlap o on o.overlap_id = c.overlap_id
where o.live and (c.state <> 'open' or c.told -> 'judged' is not null);

-- name: recall_released!
-- What the cases read back let go or hold back, and the deadlines that run of exclusive overlaps.
with clock as (
    insert into case_clock (at, ids)
    select announced_at, array_agg(overlap_id) from overlap where live and strength = 0 group by announced_at
), withholding as (
    insert into withheld (overlap_id)
    select c.overlap_id from overlap_case c join overlap o using (overlap_id)
    where o.live and c.state = any(:holds::text[])
    on conflict do nothing
)
insert into released (overlap_id)
select c.overlap_id
from overlap_case c join overlap o on o.overlap_id = c.overlap_id
where o.live and c.state = any(:lets_go::text[])
on conflict do nothing;
