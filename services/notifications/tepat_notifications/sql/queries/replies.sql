-- What recipients write back. What writes runs under the service's exclusive lock.

-- name: telling_codes
-- The notices over a channel that told of cases with one of these codes, and may have arrived; the newest first.
select d.delivery_id, d.agency, d.recipient, told.code
from (
    select c.code, h.delivery_id from cause c join hearing h using (cause_id) where h.heard and c.code = any(:codes::text[])
    union
    select o.code, t.delivery_id from overlap o join telling t using (overlap_id)
    where t.heard and o.code = any(:codes::text[])) told
join delivery d using (delivery_id)
where coalesce(d.via, d.channel) = :channel and d.state in ('sending', 'sent', 'doubtful')
order by d.sending_at desc, d.delivery_id desc;

-- name: reply_known$
select exists (select from reply where channel = :channel and message_id = :message_id);

-- name: answered_since$
-- Whether that address was told lately that it was not understood.
select exists (
    select from reply
    where (channel, sender) = (:channel, :sender) and came_at > :since and answered and outcome = 'not_understood');

-- name: keep_reply!
insert into reply (channel, message_id, sender, came_at, outcome, codes, text, answered)
values (:channel, :message_id, :sender, :now, :outcome, :codes::text[], :text, :answered);

-- name: replies
-- What was written back, the newest first.
select reply_id, channel, sender, came_at, outcome, codes, text from reply
where (:before::bigint is null or reply_id < :before)
  and (:outcome::text is null or outcome = :outcome) and (:channel::text is null or channel = :channel)
order by reply_id desc limit :at_most;
