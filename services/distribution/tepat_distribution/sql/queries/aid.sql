-- What households receive. Every statement but the first runs in the session that holds the duty of telling it.

-- name: touch_households!
-- The households of what is judged now are to be looked at.
insert into aid_touch (at, households)
select :now::timestamptz, array_agg(household) from subject where household is not null having count(*) > 0;

-- name: busy_judging$
-- Whether anything is being judged or answered, or more households than these were touched since a moment.
select exists (select from mark) or exists (select from clearance_touch)
    or (select coalesce(sum(cardinality(households)), 0) from aid_touch where at > :since and at <= :now) > :households;

-- name: fold_touched$
-- Of households touched by a moment note each once, due a minute after it was told of; the number of touches. What was
-- touched after now was by a clock that was wrong, and is not waited for.
with taken as (
    delete from aid_touch
    where id in (select id from aid_touch where at <= :until or at > :now order by id limit :touches)
    returning at, households
), noted as (
    insert into aid_due (household, due)
    select household, greatest(min(at), min(told_at) + :apart::interval)
    from taken cross join lateral unnest(households) h (household) left join aid using (household)
    group by household
    on conflict (household) do nothing)
select count(*) from taken;

-- name: take_due
-- The households due the longest at a moment, taken off; and those due later than any can be, by a clock that was wrong.
delete from aid_due
where household = any(
    array(select household from aid_due where due <= :until order by due limit :households)
    || array(select household from aid_due where due > :now::timestamptz + :apart::interval limit :households))
returning household;

-- name: payouts_of
-- The payouts of each of these households, live or not: the last so many, and how many there are.
select w.household as of, p.*
from unnest(:households::uuid[]) w (household)
cross join lateral (
    select agency, payout_id, person, programme, starts, ends, kind, amount, rank, region, more,
           count(*) over () as payouts
    from (select * from payout where live and household = w.household
          union all
          select * from payout where not live and household = w.household) p
    order by ends desc, starts desc, payout_id desc, agency limit :at_most) p;

-- name: tell_aid
-- Keep what is told now; the households of which it is new, with their new revision. Of one never told of there is
-- nothing to tell where it receives nothing.
insert into aid as a (household, revision, told_at, digest)
select n.household, 1, :now::timestamptz, n.digest
from unnest(:households::uuid[], :digests::bytea[], :nothing::boolean[]) n (household, digest, nothing)
where not n.nothing or exists (select from aid b where b.household = n.household)
order by n.household
on conflict (household) do update set revision = a.revision + 1, digest = excluded.digest, told_at = excluded.told_at
where a.digest <> excluded.digest
returning household, revision;
