-- A payment list beside the ledger, before anything is published: `listed` is the session's own table.

-- name: unread$
-- How many partitions were not read up to where they ended.
select count(*)
from unnest(:topics::text[], :partitions::int[], :ends::bigint[]) e (topic, partition, "end")
left join position p using (topic, partition)
where e."end" > coalesce(p.next_offset, 0);

-- name: check_listed
-- What each line of the list would overlap with, in the ledger and in the list itself, by the rule that wins; a line
-- takes the place of the payout that the ledger holds under its id, unless that holds over it: then its `outdone` is the
-- ledger's rank. What people decided counts where the ledger holds the very facts of the line. One row a line and an
-- overlap, or a line alone; overlaps in the order in which a clearance names them.
with own as materialized (
    select l.n, l.payout_id, l.programme, l.starts, l.ends, l.live, l.rank, r.person, r.household,
           case when p.revision > l.revision or (p.revision = l.revision and p.rank > l.rank) then p.rank end as outdone,
           p.revision as held_revision,
           (p.programme, p.starts, p.ends, p.amount, p.person, p.household)
               is not distinct from (l.programme, l.starts, l.ends, l.amount, r.person, r.household) as as_held
    from listed l cross join lateral resolved(l.nik, l.told, l.told_kk, l.starts) r
    left join lateral (
        select * from payout p where p.agency = :agency::smallint and p.payout_id = l.payout_id limit 1) p on true
), other as (
    select o.n, p.agency, p.payout_id, p.programme, p.starts, p.ends, p.rank, p.person, p.household
    from own o cross join lateral (
        (select * from payout p where p.live and p.household = o.household limit :at_most)
        union all
        (select * from payout p where p.live and p.person = o.person and p.household <> o.household limit :at_most)) p
    where o.live and not exists (
        select from listed l where p.agency = :agency::smallint and l.payout_id = p.payout_id offset 0)
    union all
    select a.n, :agency::smallint, b.payout_id, b.programme, b.starts, b.ends, b.rank, b.person, b.household
    from own a join own b on b.household = a.household and b.n <> a.n and b.payout_id <> a.payout_id
    where a.live and b.live
    union all
    select a.n, :agency::smallint, b.payout_id, b.programme, b.starts, b.ends, b.rank, b.person, b.household
    from own a join own b on b.person = a.person and b.household <> a.household and b.payout_id <> a.payout_id
    where a.live and b.live
), applying as (
    select distinct on (o.n, x.agency, x.payout_id)
        o.n, x.agency, x.payout_id, x.programme, x.rank, r.id as rule, r.strength,
        r.prefer = o.programme and x.programme <> o.programme and x.rank = 0 as preferred
    from own o join other x using (n)
    join rule r on r.a = o.programme and r.b = x.programme
        and greatest(o.starts, x.starts) between r.starts and r.ends
    where o.starts <= x.ends and x.starts <= o.ends
      and case when r.person
               then x.person = o.person and o.person not in (select g from too_large where live)
               else x.household = o.household and o.household not in (select g from too_large where live) end
    order by o.n, x.agency, x.payout_id, r.strength, r.person desc, r.id
)
select o.n, o.programme, o.outdone, o.held_revision, a.rule, a.strength, ag.code as agency, a.payout_id, a.rank,
       pr.code as with_programme, w.why, reason(w.why, a.rule, ag.code, a.payout_id) as reason
from own o
left join applying a on a.n = o.n and a.strength < 2
left join lateral (
    select overlap_id from overlap
    where o.as_held and (agency_a, payout_a, agency_b, payout_b) = (a.agency, a.payout_id, :agency::smallint, o.payout_id)
    union all
    select overlap_id from overlap
    where o.as_held and (agency_a, payout_a, agency_b, payout_b) = (:agency::smallint, o.payout_id, a.agency, a.payout_id)
    ) v on true
cross join lateral (
    select why(exists (select from withheld w where w.overlap_id = v.overlap_id),
               exists (select from released r where r.overlap_id = v.overlap_id), a.strength, a.preferred)) w (why)
left join agency ag on ag.id = a.agency
left join programme pr on pr.id = a.programme
order by o.n, w.why, a.rule, ag.code, a.payout_id;
