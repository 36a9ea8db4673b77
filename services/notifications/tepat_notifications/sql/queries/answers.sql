-- What is asked over HTTP, and by the service about itself.

-- name: due_soon$
-- Notices under way, or due within some seconds.
select (select count(*) from delivery where state = 'sending' or due_at <= :by)
     + (select count(*) from awaited where how is null and deadline <= :by);

-- name: hasten!
-- Make every waiting notice due.
update delivery set due_at = :now where due_at > :now;

-- name: hasten_hearings!
-- So is what waits to be told by routes.
update hearing set due_at = :now where not heard and due_at > :now;

-- name: due_now$
select count(*) from delivery where due_at <= :now;

-- name: notices
-- Notices, the newest first; `regions` empty: everywhere, else those of which all that they tell lies there.
select delivery_id, agency, coalesce(via, channel) as channel, channels, kind, shown_state(state, receipt) as state,
       reason, causes, attempts, revision, recipient, subject, due_at, queued_at, sending_at, ended_at, receipt_at, level,
       acknowledged_at, region
from delivery
where (:before::timestamptz is null or (queued_at, delivery_id) < (:before, :before_id::uuid))
  and (:agency::text is null or agency = :agency)
  and (:state::text is null or shown_state(state, receipt) = :state)
  and (:channel::text is null or coalesce(via, channel) = :channel)
  and (:kind::text is null or kind = :kind) and (:level::int is null or level >= :level)
  and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
order by queued_at desc, delivery_id desc limit :at_most;

-- name: recipients_ever
-- Whom any notice was for.
select distinct agency from delivery;

-- name: by_state
select shown_state(state, receipt) as state, count(*) as notices from delivery
where (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
group by 1 order by 1;

-- name: by_channel
select coalesce(via, channel) as channel, shown_state(state, receipt) as state, count(*) as notices
from delivery
where (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
group by 1, 2 order by 1, 2;

-- name: climbed$
-- Notices sent to whoever came after somebody who did not acknowledge.
select count(*) from delivery
where level > 0 and state = 'sent' and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]));

-- name: by_kind
select kind, count(*) as notices from delivery
where (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
group by kind order by kind;

-- name: overlaps_held
select * from overlap where household = any(:households::uuid[]) order by overlap_id;

-- name: suspects_held
-- Possible duplicates in which persons were named, as they are told of here.
select c.* from cause c
where c.kind = 'suspect' and string_to_array(c.key, '+') && :persons::text[] order by c.cause_id;

-- name: overlaps_named
-- The overlaps an id may mean: an overlap, a household, the short code of a case, or a payout, of one agency or any.
select * from overlap
where overlap_id = :g or household = :g or code = :code
   or (payout_a = :payout_id and (:agency::text is null or agency_a = :agency))
   or (payout_b = :payout_id and (:agency::text is null or agency_b = :agency))
order by overlap_id limit 200;

-- name: causes_named
-- What is told of by routes, by ids and by a code.
select * from cause where cause_id = any(:ids::uuid[]) or code = :code order by taken_at;

-- name: tellings_of
-- What agencies were told of overlaps.
select t.overlap_id, t.what, t.revision as overlap_revision, d.*
from telling t join delivery d using (delivery_id)
where t.overlap_id = any(:ids::uuid[]) order by d.queued_at, d.delivery_id;

-- name: attention_of
-- What agencies are still to hear of overlaps, and when.
select a.*, d.due_at
from attention a
left join delivery d on d.open and (d.agency, d.channel) = (a.agency, a.channel)
                    and d.kind = case a.moment when 'now' then 'overlaps' else 'digest' end
where a.overlap_id = any(:ids::uuid[]);
