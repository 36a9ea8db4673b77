-- Who is to hear of causes by the policy's routes, who has heard, and whether anybody has acknowledged it. Every
-- statement that writes runs under the service's exclusive lock.

-- name: take_causes
-- Keep the newest revision of each staged cause; those that changed. What an end leaves out stays as it was.
insert into cause select * from stated
on conflict (cause_id) do update set
    revision = excluded.revision, state = excluded.state, news = excluded.news,
    verdict = coalesce(excluded.verdict, cause.verdict), amount = coalesce(excluded.amount, cause.amount),
    programmes = coalesce(nullif(excluded.programmes, '{}'), cause.programmes),
    agencies = coalesce(nullif(excluded.agencies, '{}'), cause.agencies),
    region = coalesce(excluded.region, cause.region), said = cause.said || excluded.said, by = excluded.by,
    trace = coalesce(excluded.trace, cause.trace), announced_at = excluded.announced_at, taken_at = excluded.taken_at
where cause.revision < excluded.revision
returning cause_id;

-- name: count_refused
-- Records refused, counted as causes of their agencies' next digests: by topic, reason and the day they are told.
insert into cause
select * from stated
on conflict (cause_id) do update set
    revision = cause.revision + 1, state = 'awaits',
    said = cause.said || jsonb_build_object(
        'records', (cause.said ->> 'records')::bigint + (excluded.said ->> 'records')::bigint),
    announced_at = excluded.announced_at, taken_at = excluded.taken_at
returning cause_id;

-- name: count_resolved
-- Records taken by a replay since: fewer to tell of, or none.
with taken as (
    update rejection r set resolved = true
    from unnest(:topics::text[], :partitions::int[], :offsets::bigint[]) t (topic, partition, "offset")
    where (r.topic, r.partition, r."offset") = (t.topic, t.partition, t."offset") and not r.resolved
    returning r.cause_id
), fewer as (
    select cause_id, count(*) as records from taken where cause_id is not null group by 1
)
update cause c set
    revision = c.revision + 1,
    said = c.said || jsonb_build_object('records', (c.said ->> 'records')::bigint - f.records),
    state = case when (c.said ->> 'records')::bigint > f.records then c.state else 'over' end
from fewer f where c.cause_id = f.cause_id
returning c.cause_id;

-- name: place_refused!
-- By which causes records refused are told.
update rejection r set cause_id = t.cause_id
from unnest(:topics::text[], :partitions::int[], :offsets::bigint[], :causes::uuid[])
    t (topic, partition, "offset", cause_id)
where (r.topic, r.partition, r."offset") = (t.topic, t.partition, t."offset");

-- name: to_judge
-- Causes as they stand, with how far they have climbed.
select c.cause_id, c.kind, c.state, c.news, c.verdict, c.amount, c.programmes, c.agencies, c.region, c.by,
       case when a.news = c.news and (a.how is null or a.how = 'unanswered') then a.level else 0 end as level
from cause c left join awaited a using (cause_id)
where c.cause_id = any(:ids::uuid[]);

-- name: hearers
-- Those who have heard of causes, and on what terms last: who hears of a thing hears that it is over.
select distinct on (h.cause_id, h.recipient) h.cause_id, h.recipient, h.level, h.terms_id, t.*
from hearing h join terms t using (terms_id)
where h.cause_id = any(:ids::uuid[]) and h.heard
order by h.cause_id, h.recipient, h.revision desc;

-- name: unsettled
-- Causes of which something waits to be told or acknowledged.
select cause_id from hearing where not heard union select cause_id from awaited where how is null;

-- name: keep_terms
-- The numbers of terms, known or new.
with given as (
    select row_number() over () as place, array(select jsonb_array_elements_text(g -> 0)) as channels,
           g ->> 1 as language, g ->> 2 as zone, (g ->> 3)::time as quiet_from, (g ->> 4)::time as quiet_to,
           (g ->> 5)::int as at_most
    from jsonb_array_elements(:given::text::jsonb) g
), added as (
    insert into terms (channels, language, zone, quiet_from, quiet_to, at_most)
    select channels, language, zone, quiet_from, quiet_to, at_most from given
    on conflict (channels, language, zone, quiet_from, quiet_to, at_most) do update set zone = excluded.zone
    returning *
)
select g.place, a.terms_id
from given g join added a
    on (a.channels, a.language, a.zone, a.quiet_from, a.quiet_to, a.at_most)
       is not distinct from (g.channels, g.language, g.zone, g.quiet_from, g.quiet_to, g.at_most)
order by g.place;

-- name: unwant!
-- What is true no more, or nobody's to hear any more, or again as it was heard, is told to nobody.
delete from hearing h using cause c
where h.cause_id = any(:ids::uuid[]) and not h.heard and c.cause_id = h.cause_id and (
    not exists (select from wanted w where (w.cause_id, w.recipient, c.news) = (h.cause_id, h.recipient, h.news))
    or exists (
        select from heard_last(c.cause_id, case c.kind when 'overlap' then c.subject end, h.recipient) l
        where (l.news, l.figures) is not distinct from (c.news, c.figures)));

-- name: want
-- Those who are to hear of causes and have not: whose last word of them was another one. Where it differs by its amounts
-- or days alone, it goes into the next digest. With `anew` those who wait go by the terms wanted now.
insert into hearing as h (cause_id, recipient, news, level, terms_id, moment, due_at)
select w.cause_id, w.recipient, c.news, w.level, w.terms_id,
       case when l.news = c.news then 'digest' else w.moment end,
       case when l.news = c.news then w.digest_at else w.due_at end
from wanted w
join cause c using (cause_id)
left join lateral heard_last(c.cause_id, case c.kind when 'overlap' then c.subject end, w.recipient) l on true
where (l.news, l.figures) is distinct from (c.news, c.figures)
on conflict (cause_id, recipient) where not heard do update set
    terms_id = excluded.terms_id, level = excluded.level,
    due_at = case when :anew::boolean then excluded.due_at else least(h.due_at, excluded.due_at) end,
    moment = case when h.moment = 'parked' then h.moment else excluded.moment end
returning recipient;

-- name: forget_causes!
-- Know nothing of causes any more, nor who heard of them.
with waiting as (
    delete from awaited where cause_id = any(:ids::uuid[])
), steps as (
    delete from awaited_step where cause_id = any(:ids::uuid[])
), told as (
    delete from hearing where cause_id = any(:ids::uuid[]))
delete from cause where cause_id = any(:ids::uuid[]);

-- name: unopen!
-- Under another policy notices that wait are opened anew.
delete from delivery where terms_id is not null and state = 'queued' and attempts = 0;

-- name: open_routed!
-- Open a notice for whatever recipients are to hear and no open notice gathers yet. One at once waits as long as what
-- comes with it takes, twice as long for each sent in the ten minutes before, at most `longest` seconds.
insert into delivery as d (agency, channel, channels, kind, terms_id, queued_at, due_at, level)
select w.recipient, t.channels[1], t.channels, w.kind, w.terms_id, :now::timestamptz,
       greatest(w.due_at, case when w.kind = 'summary' then w.due_at else :now::timestamptz + make_interval(
           secs => least(:longest::float8, :gather::float8 * 2 ^ (
               select least(count(*), 30) from delivery e
               where e.agency = w.recipient and e.kind = w.kind and e.terms_id is not null
                 and e.sending_at > :now::timestamptz - interval '10 minutes'))) end), w.level
from (
    select h.recipient, h.terms_id, case h.moment when 'now' then c.kind else 'summary' end as kind,
           min(h.due_at) as due_at, max(h.level) as level
    from hearing h join cause c using (cause_id)
    where h.recipient = any(:recipients::text[]) and not h.heard and h.delivery_id is null and h.moment <> 'parked'
    group by 1, 2, 3) w
join terms t using (terms_id)
on conflict (agency, kind, terms_id) where open and terms_id is not null do update set
    due_at = excluded.due_at, level = excluded.level
where d.state = 'queued' and d.attempts = 0 and excluded.due_at < d.due_at;

-- name: due_routed
-- Notices by routes whose time has come, in its order, with how many their recipients were told today by their clocks.
select d.delivery_id, d.agency, t.channels, t.language, t.zone, t.quiet_from, t.quiet_to, t.at_most,
       (select count(*) from delivery e
        where e.agency = d.agency and e.terms_id is not null
          and e.sending_at >= date_trunc('day', :now::timestamptz at time zone t.zone) at time zone t.zone) as today
from delivery d join terms t using (terms_id)
where d.due_at <= :now order by d.due_at, d.delivery_id;

-- name: postpone!
update delivery d set due_at = t.due_at
from unnest(:ids::uuid[], :dues::timestamptz[]) t (delivery_id, due_at) where d.delivery_id = t.delivery_id;

-- name: gather_news!
-- Write into notices what their recipients are to hear, as it stands now.
update hearing h set delivery_id = d.delivery_id, heard = true, revision = c.revision, figures = c.figures
from delivery d, cause c
where d.delivery_id = any(:ids::uuid[]) and (h.recipient, h.terms_id) = (d.agency, d.terms_id)
  and c.cause_id = h.cause_id and not h.heard
  and (h.delivery_id = d.delivery_id or (
      h.delivery_id is null and h.due_at <= :now
      and case when d.kind = 'summary' then h.moment in ('digest', 'parked')
               else c.kind = d.kind and h.moment in ('now', 'parked') end));

-- name: news
-- What each notice tells of, those before which climbed furthest and then the largest first; `number` is that of all
-- of a sort, of which at most so many are listed; `changed` where an overlap was told before under the same verdict.
select * from (
    select h.delivery_id, h.level, c.kind, c.code, c.state, c.news, c.verdict, c.amount, c.programmes, c.agencies,
           c.region, c.said, t.language, count(*) over sort as number,
           row_number() over (sort order by h.level desc, c.amount desc nulls last, c.cause_id) as place,
           exists (select from awaited a where a.cause_id = h.cause_id and a.how is null) as awaited,
           c.kind = 'overlap' and (
               exists (select from hearing e where e.heard and (e.cause_id, e.recipient, e.news)
                                                             = (h.cause_id, h.recipient, c.news) and e.revision < h.revision)
               or exists (select from telling t where t.heard and (t.overlap_id, t.agency, t.verdict)
                                                                  = (c.subject, h.recipient, c.news))) as changed
    from hearing h join cause c using (cause_id) join terms t using (terms_id)
    where h.delivery_id = any(:ids::uuid[]) and h.heard
    window sort as (partition by h.delivery_id, c.kind, c.state = 'over')) ranked
where place <= :at_most order by delivery_id, state = 'over', kind, place;

-- name: unheard_news!
-- Those of these notices that were certainly not sent told nothing; of those given up, what they would have said comes
-- along with the recipient's next, for which something new must happen.
update hearing h set
    heard = false, delivery_id = case when d.due_at is null then null else h.delivery_id end,
    moment = case when d.due_at is null then 'parked' else h.moment end
from delivery d
where d.delivery_id = any(:ids::uuid[]) and d.state in ('failed', 'skipped') and h.delivery_id = d.delivery_id
  and h.heard;

-- name: unheard_again!
-- What a notice told is to be told again as far as it holds, but where its recipient has heard more since or is about to.
update hearing h set heard = false, delivery_id = null, due_at = :now
from cause c
where h.delivery_id = :id and h.heard and (c.cause_id, c.news) = (h.cause_id, h.news) and not exists (
    select from hearing o
    where (o.cause_id, o.recipient) = (h.cause_id, h.recipient) and (not o.heard or o.revision > h.revision));

-- name: await_!
-- From here on causes are to be acknowledged: those that were not, or whose news is another one, or that were settled
-- by what happened and have come back.
with opened as (
    insert into awaited (cause_id, news, within)
    select c.cause_id, c.news, t.within
    from unnest(:ids::uuid[], :withins::interval[]) t (cause_id, within) join cause c using (cause_id)
    on conflict (cause_id) do update set
        news = excluded.news, within = excluded.within, level = 0, deadline = null, how = null, by = null,
        ended_at = null
    where awaited.news <> excluded.news or awaited.how in ('event', 'ended')
    returning cause_id
)
insert into awaited_step (cause_id, at, what, level) select cause_id, :now, 'awaited', 0 from opened;

-- name: arm!
-- Start the timers of causes of which somebody at the present level has been told, and stop those of which it is
-- certain by now that nobody was. Where nobody there could be, and nobody waits to be, the time is over at once.
update awaited a set deadline = case
    when h.heard then coalesce(a.deadline, :now::timestamptz + a.within)
    when h.waits then null
    else :now::timestamptz end
from awaited b
cross join lateral (
    select coalesce(bool_or(h.heard), false) as heard,
           coalesce(bool_or(not h.heard and h.moment <> 'parked'), false) as waits
    from hearing h where (h.cause_id, h.news, h.level) = (b.cause_id, b.news, b.level)) h
where b.cause_id = any(:ids::uuid[]) and a.cause_id = b.cause_id and a.how is null;

-- name: recipients
select agency from delivery where delivery_id = any(:ids::uuid[]) and terms_id is not null;

-- name: told_of
-- The causes that notices tell of, or would have told.
select distinct cause_id from hearing where delivery_id = any(:ids::uuid[]);

-- name: overdue
-- Causes that nobody has acknowledged in time, the oldest first.
select cause_id from awaited where how is null and deadline <= :now order by deadline, cause_id limit :at_most;

-- name: climb!
-- The next levels' turn: their timers start once they have been told.
with climbed as (
    update awaited a set level = t.level, deadline = null
    from unnest(:ids::uuid[], :levels::int[]) t (cause_id, level) where a.cause_id = t.cause_id and a.how is null
    returning a.cause_id, a.level
)
insert into awaited_step (cause_id, at, what, level) select cause_id, :now, 'climbed', level from climbed;

-- name: end_wait
-- Causes that need no acknowledgement any more: acknowledged, answered by what happened, over, or there is nobody left
-- to tell. Who is above is told nothing of them. What happens to one that somebody had acknowledged says how it ended.
with ended as (
    update awaited a set how = t.how, by = t.by, ended_at = :now, deadline = null
    from unnest(:ids::uuid[], :hows::text[], :bys::text[]) t (cause_id, how, by)
    where a.cause_id = t.cause_id
      and (a.how is null or (a.how <> t.how and (a.how = 'unanswered' or t.how in ('event', 'ended'))))
    returning a.cause_id, a.level, a.how, a.by
), unsaid as (
    delete from hearing h using ended e
    where h.cause_id = e.cause_id and not h.heard and h.level > 0 and e.how <> 'unanswered'
)
insert into awaited_step (cause_id, at, what, level, by)
select cause_id, :now, how, level, by from ended
returning cause_id;

-- name: acknowledge_deliveries
-- Notices of whose causes none is awaited any more: acknowledged by whoever ended the last.
update delivery d set acknowledged_at = :now, acknowledged_how = a.how, acknowledged_by = a.by, revision = revision + 1
from (
    select distinct on (h.delivery_id) h.delivery_id, w.how, w.by
    from hearing h join awaited w using (cause_id)
    where h.heard and h.delivery_id in (
        select delivery_id from hearing where heard and cause_id = any(:ids::uuid[]))
      and w.how in ('link', 'reply', 'person', 'event')
    order by h.delivery_id, w.ended_at desc) a
where d.delivery_id = a.delivery_id and d.acknowledged_at is null and d.state not in ('queued', 'sending', 'failed', 'skipped') and not exists (
    select from hearing h join awaited w using (cause_id)
    where h.delivery_id = d.delivery_id and h.heard and (w.how is null or w.how = 'unanswered'))
returning d.*, coalesce(d.via, d.channel) as over, (select array_agg(subject) from (
    select c.subject from hearing h join cause c using (cause_id)
    where h.delivery_id = d.delivery_id order by h.cause_id limit :at_most) c) as overlap_ids, null::text as trace;

-- name: by_code
-- The causes of a code, a case and its overlap among them, as far as routes tell of them.
select c.*, a.news as awaited_news, a.level, a.deadline, a.how, a.by as ended_by, a.ended_at
from cause c left join awaited a using (cause_id) where c.code = :code order by c.cause_id;

-- name: heard_of
-- Who hears, or has heard, of causes, and how their notices went.
select h.cause_id, h.recipient, h.news, h.level, h.moment, h.due_at, h.heard, d.delivery_id,
       coalesce(d.via, d.channel) as channel, shown_state(d.state, d.receipt) as state,
       d.sending_at, d.ended_at, d.reason, d.acknowledged_at, c.taken_at as queued_at
from hearing h join cause c using (cause_id) left join delivery d using (delivery_id)
where h.cause_id = any(:ids::uuid[]) order by h.hearing_id;

-- name: steps_of
-- What became of the acknowledgement that was expected of causes.
select cause_id, at, what, level, by from awaited_step where cause_id = any(:ids::uuid[]) order by step_id;

-- name: of_delivery
-- A notice, and how many of its causes nobody has acknowledged.
select d.agency, d.state, d.acknowledged_at, d.acknowledged_how, array_agg(h.cause_id) as causes,
       array_agg(c.code order by c.cause_id) as codes,
       count(*) filter (where a.how is null or a.how = 'unanswered') as left_over
from delivery d
join hearing h on h.delivery_id = d.delivery_id and h.heard
join cause c using (cause_id)
join awaited a using (cause_id)
where d.delivery_id = :id group by d.delivery_id;
