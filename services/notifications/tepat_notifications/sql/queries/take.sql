-- What is taken from the topics, and what follows of it for each agency.

-- name: take_overlaps$
-- Keep the newest revision of each staged overlap, and touch those that changed; how many did.
with changed as (
    insert into overlap select * from taken
    on conflict (overlap_id) do update set
        revision = excluded.revision, live = excluded.live, reason = excluded.reason,
        verdict = coalesce(excluded.verdict, overlap.verdict), rule = coalesce(excluded.rule, overlap.rule),
        programme_a = coalesce(excluded.programme_a, overlap.programme_a),
        programme_b = coalesce(excluded.programme_b, overlap.programme_b),
        amount_a = coalesce(excluded.amount_a, overlap.amount_a),
        amount_b = coalesce(excluded.amount_b, overlap.amount_b),
        amount_at_risk = coalesce(excluded.amount_at_risk, overlap.amount_at_risk),
        starts = coalesce(excluded.starts, overlap.starts), ends = coalesce(excluded.ends, overlap.ends),
        region = coalesce(excluded.region, overlap.region),
        household = coalesce(excluded.household, overlap.household),
        trace = coalesce(excluded.trace, overlap.trace), announced_at = excluded.announced_at,
        taken_at = excluded.taken_at
    where overlap.revision < excluded.revision
    returning overlap_id, agency_a, agency_b
), touching as (
    insert into touched
    select c.overlap_id, a.agency, ch.channel
    from changed c
    cross join lateral (select c.agency_a union select c.agency_b) a (agency)
    cross join unnest(:channels::text[]) ch (channel)
)
select count(*) from changed;

-- name: judge!
-- What each touched agency is still to hear, by what it heard last: an exclusive overlap it never heard of as such
-- now, whatever else differs in the next digest, and nothing of one that came and went unheard.
merge into attention a
using (
    select t.*, case
        when o.live and o.verdict = 'exclusive' and not exists (
            select from telling e
            where (e.overlap_id, e.agency, e.channel) = (t.overlap_id, t.agency, t.channel)
              and e.heard and e.what = 'exclusive') then 'now'
        when not o.live and h.live is not true then null
        when (o.live, o.verdict, o.amount_a, o.amount_b, o.starts, o.ends)
             is not distinct from (h.live, h.verdict, h.amount_a, h.amount_b, h.starts, h.ends) then null
        else 'digest' end as moment
    from touched t
    join overlap o using (overlap_id)
    left join lateral (
        select * from telling e
        where (e.overlap_id, e.agency, e.channel) = (t.overlap_id, t.agency, t.channel) and e.heard
        order by e.revision desc limit 1) h on true
) n on (a.overlap_id, a.agency, a.channel) = (n.overlap_id, n.agency, n.channel)
when matched and n.moment is null then delete
when matched then update set moment = n.moment
when not matched and n.moment is not null then
    insert values (n.overlap_id, n.agency, n.channel, n.moment);

-- name: take_rejections
-- Records refused; one told before (its place is known) is left out. The places of the others.
insert into rejection (agency, topic, partition, "offset", reason, pointer, rejected_at)
select * from unnest(:agencies::text[], :topics::text[], :partitions::int[], :offsets::bigint[], :reasons::text[],
                     :pointers::text[], :times::timestamptz[])
on conflict do nothing
returning topic, partition, "offset";

-- name: resolve!
-- Records refused once and taken by a replay: no agency needs to hear of them any more.
update rejection r set resolved = true
from unnest(:topics::text[], :partitions::int[], :offsets::bigint[]) t (topic, partition, "offset")
where (r.topic, r.partition, r."offset") = (t.topic, t.partition, t."offset");

-- name: queue!
-- Open a notice for whatever agencies are to hear and no open notice gathers yet. One at once waits `gather` seconds
-- for what comes with it, twice as long for each sent in the ten minutes before, at most `longest`.
insert into delivery (agency, channel, channels, kind, queued_at, due_at)
select w.agency, w.channel, :order::text[], k.kind, :now::timestamptz, case k.kind
    when 'overlaps' then :now::timestamptz + make_interval(secs => least(:longest::float8, :gather::float8 * 2 ^ (
        select least(count(*), 30) from delivery d
        where (d.agency, d.channel, d.kind) = (w.agency, w.channel, 'overlaps')
          and d.sending_at > :now::timestamptz - interval '10 minutes')))
    else :digest_at::timestamptz end
from unnest(:agencies::text[]) w_agency (agency)
cross join unnest(:channels::text[]) w_channel (channel)
cross join lateral (select w_agency.agency, w_channel.channel) w
cross join (values ('overlaps'), ('digest'), ('rejections')) k (kind)
where case k.kind
    when 'rejections' then exists (
        select from rejection r
        where r.agency = w.agency and not r.resolved and r.id > coalesce((
            select max(d.told_to) from delivery d where (d.agency, d.channel) = (w.agency, w.channel)), 0))
    else exists (
        select from attention a
        where (a.agency, a.channel, a.moment)
            = (w.agency, w.channel, case k.kind when 'overlaps' then 'now' else 'digest' end)) end
on conflict (agency, channel, kind) where open and terms_id is null do nothing;

-- name: forget_overlaps!
-- Know nothing of overlaps any more, nor what was told of them.
with waiting as (
    delete from attention where overlap_id = any(:ids::uuid[])
), told as (
    delete from telling where overlap_id = any(:ids::uuid[]))
delete from overlap where overlap_id = any(:ids::uuid[]);

-- name: retime!
-- The hour of the digests has changed.
update delivery set due_at = :digest_at
where kind in ('digest', 'rejections') and state = 'queued' and due_at > :now;
