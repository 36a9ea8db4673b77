-- A payment list beside the ledger, before anything is published: `listed` is the session's own table.

-- name: unread$
-- How many partitions were not read up to where they ended.
select count(*)
from unnest(:topics::text[], :partitions::int[], :ends::bigint[]) e (topic, partition, "end")
left join position p using (topic, partition)
where e."end" > coalesce(p.next_offset, 0);

-- name: check_listed
-- What each line of the list would overlap with, in the ledger and in the list itself, by the rule that wins; a line
-- takes the place of the payout that the ledger holds under its id, unless it is not `live`:
-- - of lines of one id those that do not hold name one that does as `same_id_as`; two that misuse an event's id, of which
--   what they tell decides, name each other;
-- - what the ledger holds over the line has its rank in `outdone`; so has what it holds as of the same revision and rank
--   with other content, `contested`, for the line need not win by being later.
-- A line without a NIK takes a payout back, holds its place and overlaps with nothing: `takes_back` says whether that one
-- `stands`, has `ended` or is `unknown`; one that stands over the line is `defied`. One that takes back what was paid
-- outside `regions` (none: everywhere) is as though it were not in the list, and has no row.
-- Groups are counted as they will be once the list is taken: those too large are not looked through.
-- What people decided counts where the ledger holds the very facts of the line. One row a line and an overlap, or a line
-- alone; overlaps in the order in which a clearance names them.
with line as (
    select *, case when n <> first_value(n) over holding then first_value(n) over holding
                   when nik is not null and min(digest) over tied <> max(digest) over tied then max(n) over tied
                   end as same_id_as,
           bool_or(nik is not null) over (partition by payout_id) as listed_too
    from listed l
    where nik is not null or cardinality(:regions::text[]) = 0 or coalesce((
        select p.region is null or p.region ^@ any(:regions::text[])
        from payout p where p.agency = :agency::smallint and p.payout_id = l.payout_id limit 1), true)
    window holding as (partition by payout_id order by revision desc, rank desc, event_time desc, event_id desc, n),
           tied as (partition by payout_id, revision, rank, event_time, event_id)
), each_line as materialized (
    select l.n, l.payout_id, l.programme, l.starts, l.ends, l.rank, l.same_id_as, r.person, r.household,
           case when (p.revision, p.rank) > (l.revision, l.rank) or c.contested then p.rank end as outdone,
           p.revision as held_revision, c.contested, l.nik is null and p.live as defied,
           case when l.nik is not null then null when p.live then 'stands' when p.rank is not null then 'ended'
                when l.listed_too then 'stands' else 'unknown' end as takes_back,
           l.same_id_as is null and not c.contested and (p.revision, p.rank) > (l.revision, l.rank) is not true as live,
           (p.programme, p.starts, p.ends, p.amount, p.person, p.household)
               is not distinct from (l.programme, l.starts, l.ends, l.amount, r.person, r.household) as as_held
    from line l cross join lateral resolved(l.nik, l.told, l.told_kk, l.starts) r
    left join lateral (
        select * from payout p where p.agency = :agency::smallint and p.payout_id = l.payout_id limit 1) p on true
    cross join lateral (
        select l.nik is not null and (p.revision, p.rank) is not distinct from (l.revision, l.rank)
           and ((p.nik, p.told, p.programme, p.starts, p.ends, p.amount, p.region)
                    is distinct from (l.nik, l.told, l.programme, l.starts, l.ends, l.amount, l.region)
                or p.kind is not null and (p.kind, p.more) is distinct from (l.kind, l.more))) c (contested)
), large_household as materialized (
    select household from (
        select household, count(*) as lines from each_line where live and household is not null group by household) l
    where lines + (select count(*) from (
        select from payout p
        where p.live and p.household = l.household
          and (p.agency <> :agency::smallint or p.payout_id not in (select payout_id from each_line where live))
        limit :at_most) p) > :at_most
), large_person as materialized (
    select person from (
        select person, count(*) as lines from each_line where live and person is not null group by person) l
    where lines + (select count(*) from (
        select from payout p
        where p.live and p.person = l.person
          and (p.agency <> :agency::smallint or p.payout_id not in (select payout_id from each_line where live))
        limit :at_most) p) > :at_most
), own as materialized (
    select *, household in (select household from large_household) as crowded,
           person in (select person from large_person) as crowd
    from each_line
), other as (
    select o.n, p.agency, p.payout_id, p.programme, p.starts, p.ends, p.rank, p.person, p.household
    from own o cross join lateral (
        (select * from payout p
         where p.live and p.household = o.household and not o.crowded
           and (p.agency <> :agency::smallint or p.payout_id not in (select payout_id from own where live))
         limit :at_most)
        union all
        (select * from payout p
         where p.live and p.person = o.person and (p.household <> o.household or o.crowded) and not o.crowd
           and (p.agency <> :agency::smallint or p.payout_id not in (select payout_id from own where live))
         limit :at_most)) p
    where o.live
    union all
    select a.n, :agency::smallint, b.payout_id, b.programme, b.starts, b.ends, b.rank, b.person, b.household
    from own a join own b on b.household = a.household and b.payout_id <> a.payout_id
    where a.live and b.live and not a.crowded
    union all
    select a.n, :agency::smallint, b.payout_id, b.programme, b.starts, b.ends, b.rank, b.person, b.household
    from own a join own b on b.person = a.person and b.payout_id <> a.payout_id
    where a.live and b.live and not a.crowd and (b.household <> a.household or a.crowded)
), applying as (
    select distinct on (o.n, x.agency, x.payout_id)
        o.n, x.agency, x.payout_id, x.programme, x.rank, r.id as rule, r.strength,
        r.prefer = o.programme and x.programme <> o.programme and x.rank = 0 as preferred
    from own o join other x using (n)
    join rule r on r.a = o.programme and r.b = x.programme
        and greatest(o.starts, x.starts) between r.starts and r.ends
    where o.starts <= x.ends and x.starts <= o.ends
      and case when r.person
               then x.person = o.person and not o.crowd else x.household = o.household and not o.crowded end
    order by o.n, x.agency, x.payout_id, r.strength, r.person desc, r.id
)
select o.n, o.programme, o.same_id_as, o.outdone, o.held_revision, o.contested, o.defied, o.takes_back, a.rule, a.strength,
       case when o.crowded then o.household end as large_household, case when o.crowd then o.person end as large_person,
       ag.code as agency, a.payout_id, a.rank, pr.code as with_programme, w.why,
       reason(w.why, a.rule, ag.code, a.payout_id) as reason
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
