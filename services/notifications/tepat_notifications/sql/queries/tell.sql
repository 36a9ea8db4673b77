-- The notices' way from queued to their end. Every statement here runs in the session that holds the duty, under the
-- service's exclusive lock.

-- name: gather!
-- Write into notices what their agencies are to hear, as it stands now, and take it off what they are still to hear.
with gathered as (
    delete from attention a
    using delivery d, (values ('overlaps', 'now'), ('digest', 'digest'), ('digest', 'parked')) w (kind, moment)
    where d.delivery_id = any(:ids::uuid[]) and w.kind = d.kind
      and (a.agency, a.channel, a.moment) = (d.agency, d.channel, w.moment)
    returning d.delivery_id, a.overlap_id, a.agency, a.channel
)
insert into telling
select g.delivery_id, g.overlap_id, g.agency, g.channel, w.what, o.revision, true,
       o.live, o.verdict, o.amount_a, o.amount_b, o.starts, o.ends
from gathered g
join overlap o using (overlap_id)
left join lateral (
    select * from telling e
    where (e.overlap_id, e.agency, e.channel) = (g.overlap_id, g.agency, g.channel) and e.heard
    order by e.revision desc limit 1) h on true
cross join lateral (select case
    when o.live and o.verdict = 'exclusive' and not exists (
        select from telling e
        where (e.overlap_id, e.agency, e.channel) = (g.overlap_id, g.agency, g.channel)
          and e.heard and e.what = 'exclusive') then 'exclusive'
    when o.live and h.live is null then 'review'
    when o.live and not h.live then 'again'
    when o.live then 'changed'
    when h.live then 'cleared' end) w (what)
where w.what is not null
on conflict (delivery_id, overlap_id) do update set
    what = excluded.what, revision = excluded.revision, heard = true, live = excluded.live,
    verdict = excluded.verdict, amount_a = excluded.amount_a, amount_b = excluded.amount_b,
    starts = excluded.starts, ends = excluded.ends;

-- name: tallies
-- What each notice tells, by what it says of it, by rule and by who pays which programme.
select t.delivery_id, t.what, o.verdict, o.rule, o.agency_a, o.programme_a, o.agency_b, o.programme_b,
       count(*) as cases, coalesce(sum(o.amount_at_risk), 0)::bigint as at_risk
from telling t join overlap o using (overlap_id)
where t.delivery_id = any(:ids::uuid[]) and t.heard
group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, cases desc, 6, 8, 4, 5, 7;

-- name: cases
-- The cases a notice lists: what asks most for an act first, then the largest amounts.
select * from (
    select t.delivery_id, t.what, o.*, row_number() over (
        partition by t.delivery_id
        order by array_position(:order::text[], t.what), o.amount_at_risk desc nulls last, o.overlap_id) as place
    from telling t join overlap o using (overlap_id)
    where t.delivery_id = any(:ids::uuid[]) and t.heard) ranked
where place <= :at_most order by delivery_id, place;

-- name: mark_rejections!
-- The rejections a notice tells: those beyond what its agency heard last.
update delivery d set
    told_from = coalesce((
        select max(e.told_to) from delivery e
        where (e.agency, e.channel) = (d.agency, d.channel) and e.state in ('sending', 'sent', 'doubtful')), 0),
    told_to = coalesce((select max(r.id) from rejection r where r.agency = d.agency), 0)
where d.delivery_id = any(:ids::uuid[]) and d.kind = 'rejections';

-- name: refusals
-- What a notice tells of rejected records: how many, by reason and topic, the field most often named, and since when.
select d.delivery_id, r.reason, r.topic, count(*) as records, mode() within group (order by r.pointer) as pointer,
       min(r.rejected_at) as since, max(r.rejected_at) as until
from delivery d
join rejection r on r.agency = d.agency and r.id > d.told_from and r.id <= d.told_to and not r.resolved
where d.delivery_id = any(:ids::uuid[]) and d.kind = 'rejections'
group by 1, 2, 3 order by 1, records desc, 2, 3;

-- name: locate!
-- Keep the area that all lies in of which notices tell.
update delivery set region = area_told(delivery_id) where delivery_id = any(:ids::uuid[]);

-- name: sending!
-- From here on a notice may have gone out, whatever becomes of this process.
update delivery d set
    state = 'sending', due_at = null, attempts = attempts + 1, tries = tries + 1, sending_at = :now,
    recipient = s.recipient, subject = s.subject, body = s.body, causes = s.causes, reason = null,
    message_id = null, receipt = null, receipt_at = null, refused = null
from unnest(:ids::uuid[], :recipients::text[], :subjects::text[], :bodies::text[], :causes::int[])
    s (delivery_id, recipient, subject, body, causes)
where d.delivery_id = s.delivery_id;

-- name: settle
-- How notices went; what is published of each. One is not tried again where another gathers for its line by now.
with settled as (
    update delivery d set
        state = s.state, reason = s.reason, ended_at = :now, revision = revision + 1,
        causes = coalesce(s.causes, d.causes), message_id = coalesce(s.message_id, d.message_id),
        via = coalesce(s.via, d.via), tries = case when s.via is null then d.tries else 0 end,
        due_at = case when d.open or not exists (
            select from delivery o
            where o.open and (o.agency, o.channel, o.kind) = (d.agency, d.channel, d.kind)
              and o.terms_id is not distinct from d.terms_id) then s.due_at end
    from unnest(:ids::uuid[], :states::text[], :reasons::text[], :dues::timestamptz[], :causes::int[], :vias::text[],
                :message_ids::text[]) s (delivery_id, state, reason, due_at, causes, via, message_id)
    where d.delivery_id = s.delivery_id
    returning d.*, coalesce(old.via, old.channel) as over
)
select s.*, coalesce(c.ids, '{}') as overlap_ids, c.trace
from settled s
cross join lateral causes_of(s.delivery_id, s.causes, :at_most) c;

-- name: unheard!
-- Notices that were certainly not sent told nothing: touch what they would have told, to be judged again.
with unheard as (
    update telling set heard = false where delivery_id = any(:ids::uuid[]) and heard
    returning overlap_id, agency, channel)
insert into touched select * from unheard;

-- name: park!
-- What a notice given up would have told waits for the next digest; no notice is opened for it alone.
update attention a set moment = 'parked'
from telling t
where t.delivery_id = any(:ids::uuid[])
  and (a.overlap_id, a.agency, a.channel) = (t.overlap_id, t.agency, t.channel);

-- name: unfinished
-- Notices a dead instance left between the send and its record.
select delivery_id, agency, channel, channels, state, coalesce(via, channel) as via, tries from delivery where state = 'sending';
