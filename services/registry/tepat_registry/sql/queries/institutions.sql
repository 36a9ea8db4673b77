-- Sources of help from the community.

-- name: take_institutions!
-- Keep every revision, each by the event about it that holds, and when that first stood on its topic.
insert into institution as i (agency, about, revision, time, event_id, data, at, kind, areas)
select agency, about, revision, time, event_id, data, at, kind, string_to_array(areas, ' ')
from unnest(:agency::text[], :about::text[], :revision::bigint[], :time::timestamptz[], :event_id::text[],
            :data::text[], :at::timestamptz[], :kind::text[], :areas::text[])
    n (agency, about, revision, time, event_id, data, at, kind, areas)
on conflict (agency, about, revision) do update set
    time = excluded.time, event_id = excluded.event_id, data = excluded.data, at = excluded.at,
    kind = excluded.kind, areas = excluded.areas
where (excluded.time, excluded.event_id, excluded.data) > (i.time, i.event_id, i.data)
   or ((excluded.time, excluded.event_id, excluded.data) = (i.time, i.event_id, i.data) and excluded.at < i.at);

-- name: institutions_until
-- What was told of each institution before a moment, in the order in which it holds: all of it, the oldest first. What
-- says that it happens later than it was told counts from when it was.
select agency, about, revision, least(time, at) as time, data from institution
where least(time, at) < :until order by agency, about, revision;
