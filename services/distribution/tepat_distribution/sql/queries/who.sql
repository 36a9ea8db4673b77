-- Who is who, as the registry tells it. Every statement here relies on the exclusive lock.

-- name: learn_agencies!
-- Number the agencies that have none yet. The known ones are left out: a conflict would use up a number.
insert into agency (code)
select distinct n.code from unnest(:codes::text[]) n (code)
where not exists (select from agency a where a.code = n.code);

-- name: agencies
select id, code from agency;

-- name: take_persons
-- Take the newer ones; give the NIKs taken, whom they stood and stand for, and whether they were unknown, stood for
-- another or were not known to have died then.
with back as (
    delete from erased where nik = any(:niks::uuid[])
)
insert into person as p (nik, stands_for, alone, revision, deceased_on)
select * from unnest(:niks::uuid[], :stand_for::uuid[], :alone::uuid[], :revisions::bigint[], :deceased_on::date[])
on conflict (nik) do update set
    stands_for = excluded.stands_for, alone = excluded.alone, revision = excluded.revision,
    deceased_on = excluded.deceased_on
where excluded.revision > p.revision
returning new.nik, coalesce(old.stands_for, new.nik) as stood_for, new.stands_for,
          (old.nik is null or (old.stands_for, old.deceased_on) is distinct from (new.stands_for, new.deceased_on))
              as otherwise;

-- name: forget_persons
-- Know nothing of these NIKs any more but that they were known; whom they stood for.
with gone as (
    delete from person where nik = any(:niks::uuid[]) returning nik, stands_for
), kept as (
    insert into erased (nik) select nik from gone on conflict do nothing)
select nik, stands_for from gone;

-- name: forget_memberships!
delete from membership where nik = any(:niks::uuid[]);

-- name: take_memberships!
insert into membership (nik, agency, since, until, household)
select * from unnest(:niks::uuid[], :agencies::smallint[], :since::date[], :until::date[], :households::uuid[]);

-- name: take_renewals
-- Take the newer ones; give the households that payouts may stand under now and no longer should.
insert into renewal as r (household, stands_for, revision)
select * from unnest(:households::uuid[], :stand_for::uuid[], :revisions::bigint[])
on conflict (household) do update set stands_for = excluded.stands_for, revision = excluded.revision
where excluded.revision > r.revision
returning new.household, coalesce(old.stands_for, new.household) as stood_for;

-- name: resolve_again!
-- Resolve the payouts of these persons and households anew, the ended ones too; mark those that moved.
with again as materialized (
    select p.agency, p.payout_id, r.person, r.household
    from unnest(:persons::uuid[]) w (g)
    cross join lateral (
        select * from payout where live and person = w.g
        union all
        select * from payout where not live and person = w.g) p
    cross join lateral resolved(p.nik, p.told, p.told_kk, p.starts) r
    union
    select p.agency, p.payout_id, r.person, r.household
    from unnest(:households::uuid[]) w (g)
    cross join lateral (
        select * from payout where live and household = w.g
        union all
        select * from payout where not live and household = w.g) p
    cross join lateral resolved(p.nik, p.told, p.told_kk, p.starts) r
), moved as (
    update payout p set person = again.person, household = again.household
    from again
    where (p.agency, p.payout_id) = (again.agency, again.payout_id)
      and (p.person, p.household) is distinct from (again.person, again.household)
    returning p.agency, p.payout_id, old.person as left_person, old.household as left_household,
              new.person, new.household)
insert into mark (fresh, agencies, payout_ids, left_groups)
select false, array_agg(agency), array_agg(payout_id),
       coalesce(array_agg(left_person) filter (where left_person <> person), '{}')
       || coalesce(array_agg(left_household) filter (where left_household <> household), '{}')
from moved having count(*) > 0;
