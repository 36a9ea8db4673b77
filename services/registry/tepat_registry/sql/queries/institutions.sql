-- Sources of help from the community.

-- name: take_institutions!
-- Keep every revision, each by the event about it that holds.
insert into institution as i (agency, about, revision, time, event_id, data)
select * from unnest(:agency::text[], :about::text[], :revision::bigint[], :time::timestamptz[], :event_id::text[],
                     :data::text[])
on conflict (agency, about, revision) do update set
    time = excluded.time, event_id = excluded.event_id, data = excluded.data
where (excluded.time, excluded.event_id, excluded.data) > (i.time, i.event_id, i.data);

-- name: institutions_until
-- What was told of each institution before a moment, in the order in which it holds: all of it, the oldest first.
select agency, about, revision, time, data from institution
where time < :until order by agency, about, revision;
