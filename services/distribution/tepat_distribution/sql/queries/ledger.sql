-- name: known
-- Of the arriving payouts, by number: those that the ledger holds, and those whose person or household is not what
-- their NIK and card say. Relies on the shared lock: nobody changes who is who now.
with w as materialized (
    select w.*
    from arriving a, unnest(a.agencies, a.payout_ids, a.niks, a.tolds, a.told_kks, a.starts)
        with ordinality w (agency, payout_id, nik, told, told_kk, starts, n)
)
select w.n, true as held, null::uuid as person, null::uuid as household
from w
where exists (select from payout p where p.agency = w.agency and p.payout_id = w.payout_id offset 0)
union all
select w.n, false, r.person, r.household
from (
    select * from w
    where exists (select from person p where p.nik = w.nik offset 0)
       or exists (select from renewal r where r.household = w.told offset 0)
    offset 0) w
cross join lateral resolved(w.nik, w.told, w.told_kk, w.starts) r
where r.person <> w.nik or r.household <> w.told;

-- name: take_staged
-- Upsert the staged payouts, one row a payout, by the order in which events hold; keep the events that held until now,
-- and mark what changed. Gives the payouts that stay as they were.
-- Rows go in by key, so that two instances with the same payouts lock them in one order.
with changed as (
    insert into payout as p (
        agency, revision, rank, event_time, nik, told, told_kk, programme, starts, ends, amount, partition, "offset",
        digest, person, household, kind, appended, payout_id, event_id, region, trace, more)
    select * from stage s
    order by s.agency, s.payout_id
    on conflict (agency, payout_id) do update set
        revision = excluded.revision, rank = excluded.rank, event_time = excluded.event_time,
        event_id = excluded.event_id, partition = excluded.partition, "offset" = excluded."offset",
        digest = excluded.digest, trace = excluded.trace, appended = excluded.appended,
        nik = coalesce(excluded.nik, p.nik), told = coalesce(excluded.told, p.told),
        told_kk = case when excluded.nik is null then p.told_kk else excluded.told_kk end,
        programme = coalesce(excluded.programme, p.programme), starts = coalesce(excluded.starts, p.starts),
        ends = coalesce(excluded.ends, p.ends), amount = coalesce(excluded.amount, p.amount),
        region = coalesce(excluded.region, p.region), person = coalesce(excluded.person, p.person),
        household = coalesce(excluded.household, p.household), kind = coalesce(excluded.kind, p.kind),
        more = case when excluded.nik is null then p.more else excluded.more end,
        last_told = case when excluded.nik is not null or p.nik is null then null
                         when p.live then row(p.revision, p.rank, p.event_time, p.event_id)::told_order
                         else p.last_told end
    where (excluded.revision, excluded.rank, excluded.event_time, excluded.event_id)
        > (p.revision, p.rank, p.event_time, p.event_id)
    returning old.live as was_live, old.person as left_person, old.household as left_household,
              old.revision as was_revision, old.rank as was_rank, old.event_time as was_time,
              old.event_id as was_id, old.appended as was_appended, case when old.live then old.amount end as was_amount,
              new.live, new.person, new.household, new.agency, new.payout_id, new.appended
), beaten as (
    insert into payout_event as e (agency, payout_id, revision, rank, event_time, event_id, amount, appended)
    select agency, payout_id, was_revision, was_rank, was_time, was_id, was_amount, was_appended
    from changed where was_id <> ''
    on conflict (agency, payout_id, revision, rank, event_time, event_id, amount) do update set
        appended = excluded.appended
    where excluded.appended < e.appended
), marked as (
    insert into mark (fresh, agencies, payout_ids, left_groups, appended)
    select false, array_agg(agency), array_agg(payout_id),
           coalesce(array_agg(left_person) filter (where was_live and (not live or left_person <> person)), '{}')
           || coalesce(array_agg(left_household)
                       filter (where left_household <> household or (was_live and not live)), '{}'),
           min(appended)
    from changed where person is not null
    having count(*) > 0)
select s.agency, s.payout_id from stage s
where not exists (select from changed c where (c.agency, c.payout_id) = (s.agency, s.payout_id));

-- name: tell_ended!
-- Of payouts that have ended the last event before their end says whom and what they were for, whenever it comes. Each is
-- in the ledger by now, and found by its key.
with changed as (
    insert into payout as p (
        agency, revision, rank, event_time, nik, told, told_kk, programme, starts, ends, amount, partition, "offset",
        digest, person, household, kind, appended, payout_id, event_id, region, trace, more)
    select distinct on (agency, payout_id) * from stage where nik is not null
    order by agency, payout_id, revision desc, rank desc, event_time desc, event_id desc
    on conflict (agency, payout_id) do update set
        nik = excluded.nik, told = excluded.told, told_kk = excluded.told_kk, programme = excluded.programme,
        starts = excluded.starts, ends = excluded.ends, amount = excluded.amount, region = excluded.region,
        person = excluded.person, household = excluded.household, kind = excluded.kind, more = excluded.more,
        last_told = row(excluded.revision, excluded.rank, excluded.event_time, excluded.event_id)::told_order
    where not p.live and (p.nik is null or p.last_told
        < row(excluded.revision, excluded.rank, excluded.event_time, excluded.event_id)::told_order)
    returning p.agency, p.payout_id, old.household as left_household, new.household)
insert into mark (fresh, agencies, payout_ids, left_groups)
select false, array_agg(agency), array_agg(payout_id),
       coalesce(array_agg(left_household) filter (where left_household <> household), '{}')
from changed having count(*) > 0;

-- name: keep_beaten!
-- Keep the staged events that do not hold. One that came again is told of as it was first appended.
insert into payout_event as e (agency, payout_id, revision, rank, event_time, event_id, amount, appended)
select s.agency, s.payout_id, s.revision, s.rank, s.event_time, s.event_id, s.amount, min(s.appended)
from stage s
where not exists (
    select from payout p
    where (p.agency, p.payout_id) = (s.agency, s.payout_id)
      and (p.revision, p.rank, p.event_time, p.event_id) = (s.revision, s.rank, s.event_time, s.event_id)
      and (not p.live or p.amount = s.amount) and p.appended <= s.appended
    offset 0)
group by s.agency, s.payout_id, s.revision, s.rank, s.event_time, s.event_id, s.amount
on conflict (agency, payout_id, revision, rank, event_time, event_id, amount) do update set appended = excluded.appended
where excluded.appended < e.appended;

-- name: misused
-- Staged events that tie with the one that holds but differ from it: an agency used one event id twice.
-- `agencies` and `payout_ids` are those that stayed as they were: few, looked up by key.
select s.agency, s.payout_id, p.partition as held_partition, p."offset" as held_offset
from stage s
join unnest(:agencies::smallint[], :payout_ids::text[]) unmoved (agency, payout_id) using (agency, payout_id)
cross join lateral (
    select * from payout p where (p.agency, p.payout_id) = (s.agency, s.payout_id) limit 1) p
where (s.revision, s.rank, s.event_time, s.event_id) = (p.revision, p.rank, p.event_time, p.event_id)
  and s.digest <> p.digest;

-- name: yield_to_misused!
-- Let these staged events hold over what they tie with, which is kept: the ledger's row steps back below them.
with y as materialized (
    select p.agency, p.payout_id, p.revision, p.rank, p.event_time, p.event_id,
           case when p.live then p.amount end as amount, p.appended
    from unnest(:agencies::smallint[], :payout_ids::text[]) y (agency, payout_id)
    cross join lateral (
        select * from payout p where (p.agency, p.payout_id) = (y.agency, y.payout_id) limit 1) p
), kept as (
    insert into payout_event as e (agency, payout_id, revision, rank, event_time, event_id, amount, appended)
    table y
    on conflict (agency, payout_id, revision, rank, event_time, event_id, amount) do update set
        appended = excluded.appended
    where excluded.appended < e.appended)
update payout p set event_id = '' from y where (p.agency, p.payout_id) = (y.agency, y.payout_id);

-- name: forget_staged!
delete from stage;

-- name: keep_staged!
-- Leave only these payouts staged.
delete from stage s
where (s.agency, s.payout_id) not in (select * from unnest(:agencies::smallint[], :payout_ids::text[]));
