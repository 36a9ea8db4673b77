-- What is answered over HTTP.

-- name: overlaps
-- Overlaps in the order of their ids, filtered; `regions` none or empty: everywhere.
select o.overlap_id, o.revision, o.live, o.rule, o.strength, o.by_person, o.person, o.household, o.region,
       o.starts, o.ends, o.amount_at_risk, o.policy_version, o.announced_at,
       aa.code as agency_a, o.payout_a, o.revision_a, o.rank_a, pa.code as code_a, o.amount_a,
       ab.code as agency_b, o.payout_b, o.revision_b, o.rank_b, pb.code as code_b, o.amount_b
from overlap o
join agency aa on aa.id = o.agency_a
join agency ab on ab.id = o.agency_b
join programme pa on pa.id = o.programme_a
join programme pb on pb.id = o.programme_b
where (:after::uuid is null or o.overlap_id > :after)
  and (:live::boolean is null or o.live = :live)
  and (:strength::smallint is null or o.strength = :strength)
  and (:programme::text is null or pa.code = :programme or pb.code = :programme)
  and (:agency::text is null or aa.code = :agency or ab.code = :agency)
  and (:region::text is null or o.region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or o.region ^@ any(:regions::text[]))
  and (:ids::uuid[] is null or o.overlap_id = any(:ids))
order by o.overlap_id limit :at_most;

-- name: overlaps_in
-- Those in which a payout of a household is one side.
select o.overlap_id
from (select agency, payout_id from payout where live and household = :household
      union all
      select agency, payout_id from payout where not live and household = :household) p
cross join lateral (
    select overlap_id from overlap where agency_a = p.agency and payout_a = p.payout_id and rule is not null
    union
    select overlap_id from overlap where live and agency_b = p.agency and payout_b = p.payout_id) o;

-- name: payouts_named
-- The payouts an id may mean: a payout id (of one agency or any), an event id, an overlap or finding id, a household or
-- person.
with meant as materialized (
    select agency, payout_id from payout
    where :payout_id::text is not null and payout_id = :payout_id
      and (:agency::text is null or agency = (select id from agency where code = :agency))
    union select agency, payout_id from payout where :event_id::text is not null and event_id = :event_id
    union select agency, payout_id from payout_event where :event_id is not null and event_id = :event_id
    union select agency, payout_id from payout where live and household = :g::uuid
    union select agency, payout_id from payout where live and person = :g
    union select agency_a, payout_a from overlap where overlap_id = :g
    union select agency_b, payout_b from overlap where overlap_id = :g
    union select u.agency, u.payout_id
          from finding f cross join lateral unnest(f.agencies, f.payout_ids) u (agency, payout_id) where f.finding_id = :g)
select a.code as agency, p.payout_id, p.revision, p.rank, p.event_time, p.event_id, p.partition, p."offset",
       pr.code as programme, p.starts, p.ends, p.amount, p.household, p.person, p.region, p.trace, p.live
from meant m
cross join lateral (select * from payout p where (p.agency, p.payout_id) = (m.agency, m.payout_id) limit 1) p
join agency a on a.id = p.agency
left join programme pr on pr.id = p.programme
order by a.code, p.payout_id limit 200;

-- name: events_of_payouts
-- Every event about payouts, of each in the order in which they hold; `last_amount` as in ``events_of_case``.
select a.code as agency, p.payout_id, t.revision, t.rank, t.event_time, t.event_id, t.amount, t.appended,
       p.amount as last_amount
from unnest(:agencies::text[], :payout_ids::text[]) w (agency, payout_id)
join agency a on a.code = w.agency
cross join lateral (select * from payout p where (p.agency, p.payout_id) = (a.id, w.payout_id) limit 1) p
cross join lateral (select * from payout_told t where t.agency = a.id and t.payout_id = w.payout_id offset 0) t
order by a.code, p.payout_id, t.revision, t.rank, t.event_time, t.event_id, t.amount;

-- name: payouts_held
-- All payouts to NIKs, by a look through the whole ledger.
select a.code as agency, p.payout_id, p.revision, p.rank, p.event_time, p.event_id, p.partition, p."offset",
       pr.code as programme, p.starts, p.ends, p.amount, p.household, p.person, p.region, p.trace, p.live
from payout p
join agency a on a.id = p.agency
left join programme pr on pr.id = p.programme
where p.nik = any(:niks::uuid[])
order by a.code, p.payout_id;

-- name: overlaps_of
-- What was announced of payouts.
select o.overlap_id, o.revision, o.live, o.rule, o.strength, o.announced_at, o.amount_at_risk,
       aa.code as agency_a, o.payout_a, ab.code as agency_b, o.payout_b
from unnest(:agencies::text[], :payout_ids::text[]) w (code, payout_id)
join agency w_agency on w_agency.code = w.code
join overlap o on (o.agency_a, o.payout_a) = (w_agency.id, w.payout_id)
               or (o.agency_b, o.payout_b) = (w_agency.id, w.payout_id)
join agency aa on aa.id = o.agency_a
join agency ab on ab.id = o.agency_b
where o.rule is not null;

-- name: marks_waiting$
-- Marks to be judged, counted to a hundred; none while a rebuild takes everything first.
select count(*) from (select from mark where not exists (select from rebuilding) limit 100) m;

-- name: left_to_judge$
-- What is left to judge, and the households that could be told of now: not those that have yet to wait for their
-- minute, or nothing would be at rest for a minute after anything; and what is to be looked at for findings.
select (select count(*) from mark) + (select count(*) from rejudging) + (select count(*) from rebuilding)
     + (select count(*) from aid_touch) + (select count(*) from aid_due where due <= :now)
     + (select count(*) from round_due where due <= :now)
     + (select count(*) from finding_touch) + (select count(*) from finding_group)
     + (select count(*) from finding_sweep);
