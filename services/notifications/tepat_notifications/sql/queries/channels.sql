-- The channels a notice takes, and what gateways report of it.

-- name: unrouted
-- Notices whose time has come and that have no channel yet, or one that is gone.
select delivery_id, agency, channel, kind, state, channels, via, attempts, tries, subject, body
from delivery
where due_at <= :now and (via is null or via <> all(:channels::text[]))
order by due_at, delivery_id limit :at_most;

-- name: due
-- Notices whose time has come: of each channel as many as it has room for.
select d.* from unnest(:channels::text[], :room::int[]) c (channel, room)
cross join lateral (
    select delivery_id, agency, channel, kind, state, channels, via, attempts, tries, subject, body
    from delivery
    where due_at <= :now and via = c.channel
    order by due_at, delivery_id limit c.room) d;

-- name: next_due$
-- When the next timer ends.
select least((select min(due_at) from delivery where due_at > :now),
             (select min(deadline) from awaited where how is null and deadline > :now));

-- name: move!
-- Notices that take another channel, or wait for the one they have.
update delivery d set
    tries = case when d.via = m.via then d.tries else 0 end, via = m.via, due_at = m.due_at
from unnest(:ids::uuid[], :vias::text[], :dues::timestamptz[]) m (delivery_id, via, due_at)
where d.delivery_id = m.delivery_id;

-- name: repeat!
-- Notices in doubt that are sent once more as they were.
update delivery set
    state = 'sending', due_at = null, attempts = attempts + 1, tries = tries + 1, sending_at = :now,
    message_id = null, receipt = null, receipt_at = null, refused = null
where delivery_id = any(:ids::uuid[]);

-- name: reported_before
-- What gateways reported of notices whose tries are only now to be recorded.
select delivery_id, receipt, refused from delivery
where delivery_id = any(:ids::uuid[]) and (receipt is not null or refused is not null);

-- name: report
-- What gateways report of tries: never back from delivered or read, and of the last try alone. What was in doubt was
-- sent after all. Those that changed and had ended are to be published.
with told as (
    select distinct on (delivery_id) * from (
        select t.*, array_position(array['sent', 'delivered', 'read'], t.receipt) as rank
        from unnest(:ids::uuid[], :attempts::int[], :receipts::text[]) t (delivery_id, attempt, receipt)) ranked
    order by delivery_id, rank desc
), changed as (
    update delivery d set
        receipt = t.receipt, receipt_at = :now, due_at = null,
        state = case when d.state = 'doubtful' then 'sent' else d.state end,
        reason = case when d.state = 'doubtful' then null else d.reason end,
        revision = d.revision + case when d.state <> 'sending' and (d.state = 'doubtful' or t.receipt <> 'sent')
                                     then 1 else 0 end
    from told t
    where d.delivery_id = t.delivery_id and d.attempts = t.attempt and coalesce(d.via, d.channel) = :channel
      and d.state in ('sending', 'sent', 'doubtful')
      and t.rank > coalesce(array_position(array['sent', 'delivered', 'read'], d.receipt), 0)
    returning d.*, old.revision as before
)
select s.*, coalesce(s.via, s.channel) as over, coalesce(c.ids, '{}') as overlap_ids, c.trace
from changed s
cross join lateral causes_of(s.delivery_id, s.causes, :at_most) c
where s.revision > s.before;

-- name: undelivered
-- Of notices reported as failed those that had been taken, or may have been: they are certain to have failed after all.
select d.delivery_id, d.agency, d.channel, d.channels, 'sent' as state, coalesce(d.via, d.channel) as via, d.tries, t.reason
from unnest(:ids::uuid[], :attempts::int[], :reasons::text[]) t (delivery_id, attempt, reason)
join delivery d using (delivery_id)
where d.attempts = t.attempt and coalesce(d.via, d.channel) = :channel and d.state in ('sent', 'doubtful')
  and coalesce(d.receipt, 'sent') = 'sent';

-- name: refuse!
-- Those reported as failed before their try was recorded.
update delivery d set refused = t.reason
from unnest(:ids::uuid[], :attempts::int[], :reasons::text[]) t (delivery_id, attempt, reason)
where d.delivery_id = t.delivery_id and d.attempts = t.attempt and d.state = 'sending'
  and coalesce(d.via, d.channel) = :channel;

-- name: ended_notice^
-- A notice, as long as nobody else changes it.
select delivery_id, agency, channel, kind, state, open, receipt, region from delivery
where delivery_id = :id for update;

-- name: revive!
-- What a notice did not tell is to be told at its next try, not with the next digest.
update attention a set moment = case d.kind when 'overlaps' then 'now' else 'digest' end
from telling t join delivery d using (delivery_id)
where d.delivery_id = :id and a.moment = 'parked'
  and (a.overlap_id, a.agency, a.channel) = (t.overlap_id, t.agency, t.channel);

-- name: reopen$
-- Queue a notice once more, from its first channel on; the one that gathers for its line and kind, where there is one,
-- takes its place and is due now.
with other as (
    update delivery o set due_at = least(o.due_at, :now)
    from delivery d
    where d.delivery_id = :id and o.open and (o.agency, o.channel, o.kind) = (d.agency, d.channel, d.kind)
      and o.terms_id is not distinct from d.terms_id
    returning o.delivery_id
), again as (
    update delivery set state = 'queued', due_at = :now, via = null, tries = 0, reason = null,
                        told_from = null, told_to = null
    where delivery_id = :id and not exists (select from other)
    returning delivery_id
)
select delivery_id from other union all select delivery_id from again;
