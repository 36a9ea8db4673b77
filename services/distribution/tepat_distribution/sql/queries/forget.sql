-- Forgetting payouts whose retention is over. Every statement relies on the service's exclusive lock, and on no duty
-- being at a step (``forgetting.undisturbed``). What is forgotten leaves tombstones in the outbox: nothing of it is
-- "cleared", since nobody did anything. Look-ups are lateral or by an array, as in ``detect.sql``: else tables are read
-- from end to end for each page.

-- name: forgotten_before$
select day from forgotten_before;

-- name: set_forgotten!
insert into forgotten_before (day) values (:before)
on conflict (one) do update set day = greatest(forgotten_before.day, excluded.day);

-- name: forget_payouts$
-- Forget payouts whose days ended before a day, and that were last heard of before a moment of the broker, in
-- milliseconds; of one of which only the end is known there are no days. How many these are.
with page as materialized (
    select agency, payout_id from payout
    where appended < :appended and (ends is null or ends < :before) limit :payouts
), gone as (
    delete from payout p using page where (p.agency, p.payout_id) = (page.agency, page.payout_id)
    returning p.agency, p.payout_id, p.nik, p.person, p.household
), told as (
    delete from payout_event e using page where (e.agency, e.payout_id) = (page.agency, page.payout_id)
), kept as (
    insert into forgotten (agency, payout_id, nik, person, household) select * from gone returning 1)
select count(*) from kept;

-- name: forget_answers!
-- Forget what was answered about them: their agencies' topics hold the last answer to each that was ever planned.
with answers as (
    delete from clearance c using forgotten f where (c.agency, c.payout_id) = (f.agency, f.payout_id)
), waiting as (
    delete from behind b using forgotten f where (b.agency, b.payout_id) = (f.agency, f.payout_id)
), receipts as (
    delete from capital_receipt r using forgotten f join agency a on a.id = f.agency
    where (r.agency, r.payout_id) = (a.code, f.payout_id))
insert into outbox (topic, key)
select format(:topic::text, a.code), f.payout_id from forgotten f join agency a on a.id = f.agency
order by f.agency, f.payout_id;

-- name: forget_overlaps$
-- Forget the overlaps of which one side is forgotten; their other sides are answered anew. The ids.
with these as materialized (
    select o.*
    from forgotten f cross join lateral (
        select overlap_id, agency_b as agency, payout_b as payout_id from overlap
        where agency_a = f.agency and payout_a = f.payout_id
        union all
        select overlap_id, agency_a, payout_a from overlap
        where live and agency_b = f.agency and payout_b = f.payout_id
        union all
        select overlap_id, agency_a, payout_a from overlap
        where not live and agency_b = f.agency and payout_b = f.payout_id) o
), gone as (
    delete from overlap where overlap_id = any(array(select overlap_id from these)) returning overlap_id
), before as (
    delete from announcement where overlap_id = any(array(select overlap_id from these))
), others as (
    insert into clearance_touch (at, agencies, payout_ids)
    select :now::timestamptz, array_agg(agency), array_agg(payout_id)
    from (select distinct agency, payout_id from these t
          where exists (select from payout p where (p.agency, p.payout_id) = (t.agency, t.payout_id) offset 0)) o
    having count(*) > 0
), told as (
    insert into outbox (topic, key) select :topic, overlap_id::text from gone order by overlap_id)
select coalesce(array_agg(overlap_id), '{}') from gone;

-- name: forget_cases!
-- Forget what people decided of overlaps that are forgotten. By a statement of its own: whoever acted in one at that
-- moment was waited for, and has kept it by now.
with let_go as (
    delete from released where overlap_id = any(:ids::uuid[])
), held_back as (
    delete from withheld where overlap_id = any(:ids::uuid[])
), gone as (
    delete from overlap_case where overlap_id = any(:ids::uuid[]) returning overlap_id)
insert into outbox (topic, key) select :topic, overlap_id::text from gone order by overlap_id;

-- name: forget_findings!
-- Forget what was found of them, alone or among others; what of a group still holds without them is found anew.
with these as (
    select i.finding_id
    from forgotten f cross join lateral (
        select finding_id from finding
        where agencies[1] = f.agency and payout_ids[1] = f.payout_id and not of_group offset 0) i
    union
    select i.finding_id
    from forgotten f cross join lateral (
        select finding_id, agencies, payout_ids from finding where of_group and household = f.household
        union all
        select finding_id, agencies, payout_ids from finding where of_group and person = f.person offset 0) i
    where exists (select from unnest(i.agencies, i.payout_ids) u (agency, payout_id)
                  where (u.agency, u.payout_id) = (f.agency, f.payout_id))
), gone as (
    delete from finding where finding_id = any(array(select finding_id from these)) returning finding_id)
insert into outbox (topic, key) select :topic, finding_id::text from gone order by finding_id;

-- name: forget_aid!
-- Households that no payout is known of any more are told of no more.
with gone as (
    delete from aid where household = any(array(
        select distinct f.household from forgotten f
        where not exists (select from payout p where p.live and p.household = f.household offset 0)
          and not exists (select from payout p where not p.live and p.household = f.household offset 0)))
    returning household
), due as (
    delete from aid_due where household = any(array(select household from gone)))
insert into outbox (topic, key) select :topic, household::text from gone order by household;

-- name: forget_empty_aid$
-- So is of those that nothing was told of but that they receive nothing, for so long. How many there were.
with gone as (
    delete from aid where household = any(array(
        select household from aid a
        where a.told_at < :told_before
          and not exists (select from payout p where p.live and p.household = a.household offset 0)
          and not exists (select from payout p where not p.live and p.household = a.household offset 0)
        limit :households))
    returning household
), told as (
    insert into outbox (topic, key) select :topic, household::text from gone order by household)
select count(*) from gone;

-- name: forget_erased!
-- That the registry knew a NIK matters as long as a payout names it.
delete from erased e
where nik = any(array(select nik from forgotten))
  and not exists (select from payout p where p.live and p.person = e.nik offset 0)
  and not exists (select from payout p where not p.live and p.person = e.nik offset 0);

-- name: mark_left!
-- The persons and households that they are gone from may not be too large any more, and receive less.
insert into mark (fresh, agencies, payout_ids, left_groups)
select false, '{}', '{}', array_agg(g)
from (select person as g from forgotten where person is not null
      union select household from forgotten where household is not null) l
having count(*) > 0;
