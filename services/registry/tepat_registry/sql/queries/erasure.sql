-- Erasing persons (UU PDP 27/2022). Every statement here relies on the exclusive lock.

-- name: take_erasures
-- Keep until when each person is erased; those for whom that moved on.
insert into erased as e (person, time, agency, event_id)
select * from unnest(:persons::uuid[], :times::timestamptz[], :agencies::text[], :event_ids::text[])
on conflict (person) do update set
    time = excluded.time, agency = excluded.agency, event_id = excluded.event_id, taken_at = excluded.taken_at
where excluded.time > e.time
returning person;

-- name: erased
-- Which of these are erased, and until when.
select person, time from erased where person = any(:persons::uuid[]);

-- name: erase_facts
-- Forget facts about these NIKs; the households they named.
delete from fact f using unnest(:niks::bigint[], :times::timestamptz[]) e (nik, until)
where f.nik = e.nik and f.time <= e.until
returning f.nik, f.household;

-- name: erase_links
-- Forget merges from and into these NIKs; from where to where they led.
delete from link l using unnest(:niks::bigint[], :times::timestamptz[]) e (nik, until)
where l.kind = 0 and (l.from_number = e.nik or l.into_number = e.nik) and l.time <= e.until
returning l.from_number, null::bigint as into_number, l.into_number as led_into, l.trace;

-- name: unknow!
-- Forget those of these NIKs that no fact and no merge names any more.
delete from number n
where n.kind = 0 and n.number = any(:niks::bigint[])
  and not exists (select from fact where nik = n.number)
  and not exists (select from link where kind = 0 and from_number = n.number)
  and not exists (select from link where kind = 0 and into_number = n.number);

-- name: forget_suspects
-- Forget what was suspected of these persons, whatever was decided of it.
delete from suspect where a = any(:persons::uuid[]) or b = any(:persons::uuid[]) or persons ?| :named::text[]
returning pair, a, b;

-- name: erase_named!
-- Forget that reports name these NIKs.
delete from named n using unnest(:niks::bigint[], :times::timestamptz[]) e (nik, until)
where n.nik = e.nik and n.at <= e.until;

-- name: paid_until$
-- The last day that a payout planned or disbursed to these persons is for.
select max(upper(days)) - 1 from received where person = any(:persons::uuid[]);

-- name: reports_to_strip
-- The reports whose data name one of these NIKs; there is no index for it, as it is asked for rarely.
select agency, about, revision, time, data from report_told
where type = :type and data like any(select '%' || nik || '%' from unnest(:niks::text[]) nik);

-- name: rewrite_reports!
-- Keep the data of these revisions of reports as they are given, and have these looked at again.
with given as (
    select * from unnest(:agencies::text[], :about::text[], :revisions::bigint[], :data::text[])
        r (agency, about, revision, data)
), held as (
    update statement s set data = g.data from given g
    where s.type = :type and (s.agency, s.about, s.revision) = (g.agency, g.about, g.revision)
), told as (
    update report_told t set data = g.data from given g
    where t.type = :type and (t.agency, t.about, t.revision) = (g.agency, g.about, g.revision))
insert into route (about) select array_agg(distinct about) from given having count(*) > 0;
