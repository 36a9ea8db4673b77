-- Reports from below. The duty `route` alone writes `report`.

-- name: take_reports!
-- Keep every revision, each by the event about it that holds, and have looked at what it is about: an answer may name
-- its report with the agency before it.
with taken as (
    insert into report_told as r (agency, type, about, revision, time, event_id, data, at, trace)
    select * from unnest(:agency::text[], :type::text[], :about::text[], :revision::bigint[], :time::timestamptz[],
                         :event_id::text[], :data::text[], :at::timestamptz[], :trace::text[])
    on conflict (about, type, agency, revision) do update set
        time = excluded.time, event_id = excluded.event_id, data = excluded.data, at = excluded.at,
        trace = excluded.trace
    where (excluded.time, excluded.event_id, excluded.data) > (r.time, r.event_id, r.data)
       or ((excluded.time, excluded.event_id, excluded.data) = (r.time, r.event_id, r.data) and excluded.at < r.at)
    returning agency, type, about)
insert into route (about)
select array_agg(distinct name) from taken cross join lateral (values
    (about), (case when type = :filed then agency || '/' || about end), (substring(about from '/(.+)'))) n (name)
where name is not null having count(*) > 0;

-- name: route_near!
-- Have those looked at again to which something happened since an instant where these institutions cover, or did.
insert into route (about)
select array_agg(distinct r.about)
from report r
where r.moved_at >= :since and r.areas && array(
    select distinct unnest(areas) from institution
    where (agency, about) in (select * from unnest(:agency::text[], :about::text[])))
having count(*) > 0;

-- name: route_open!
-- Have all looked at again that are open, so many a row.
insert into route (about)
select array_agg(about)
from (select about, row_number() over (order by about) / 500 as page from report where state <> 'closed') open
group by page;

-- name: take_routes
-- The oldest to be looked at, as they are taken off.
delete from route where id in (select id from route order by id limit :most)
returning about;

-- name: due_reports
-- Those whose deadline has passed.
select about from report where due_at < :now order by due_at limit :most;

-- name: told_of
-- All that was told under these ids, and under the full names that they may be meant by or stand in.
with named as (
    select unnest(:about::text[]) as about
    union select substring(name from '/(.+)') from unnest(:about::text[]) n (name) where name like '%/%'
)
select t.* from report_told t
where t.about in (
    select about from named
    union select f.agency || '/' || f.about from report_told f join named using (about) where f.type = :filed)
order by about, type, agency, revision;

-- name: charges
-- What policies taken after one said of how reports go.
select seq, version, taken_at, document -> 'policy' -> 'routes' as routes,
       array(select agency ->> 'id' from jsonb_array_elements(document -> 'policy' -> 'agencies') agency) as agencies
from standing where seq > :after order by seq;

-- name: helping
-- Every revision of every institution that ever covered one of these areas.
select agency, about, revision, at, kind, areas from institution
where (agency, about) in (select agency, about from institution where areas && :areas::text[]);

-- name: stand_at
-- Keep where reports stand; under what each of them was announced before.
insert into report as r (agency, about, key, kind, region, areas, step, state, in_charge, since, due_at, filed_at,
                         moved_at, outcome)
select agency, about, key, kind, region, string_to_array(areas, ' '), step, state, in_charge, since, due_at, filed_at,
       moved_at, outcome
from unnest(:agency::text[], :about::text[], :key::text[], :kind::text[], :region::text[], :areas::text[],
            :step::text[], :state::text[], :in_charge::text[], :since::timestamptz[], :due_at::timestamptz[],
            :filed_at::timestamptz[], :moved_at::timestamptz[], :outcome::text[])
    n (agency, about, key, kind, region, areas, step, state, in_charge, since, due_at, filed_at, moved_at, outcome)
on conflict (agency, about) do update set
    key = excluded.key, kind = excluded.kind, region = excluded.region, areas = excluded.areas, step = excluded.step,
    state = excluded.state, in_charge = excluded.in_charge, since = excluded.since, due_at = excluded.due_at,
    filed_at = excluded.filed_at, moved_at = excluded.moved_at, outcome = excluded.outcome
returning old.key as before;

-- name: withdraw
-- Nothing stands announced under these keys any longer; those under which something did.
update announced set digest = null where key = any(:keys::uuid[]) and digest is not null
returning key;

-- What people ask for.

-- name: reports
-- The next by agency and id.
select agency, about, kind, region, step, state, in_charge, since, due_at, filed_at, outcome from report
where (agency, about) > (:agency, :after)
  and (:region::text is null or region ^@ :region)
  and (:kind::text is null or kind = :kind) and (:step::text is null or step = :step)
  and (:state::text is null or state = :state) and (:in_charge::text is null or in_charge = :in_charge)
order by agency, about limit :most;

-- name: unfiled_answers
-- The next answers, by agency and id, of which no report is known, by none of the names that `routing.answered` takes.
select distinct on (t.agency, t.about) t.agency, t.about, t.at, t.data from report_told t
where t.type = :answered and (t.agency, t.about) > (:agency, :after)
  and not exists (select from report_told f where f.about = t.about and f.type = :filed)
  and not exists (select from report_told f where f.about = substring(t.about from '/(.+)') and f.type = :filed
                                              and f.agency = split_part(t.about, '/', 1))
order by t.agency, t.about, t.revision desc limit :most;

-- name: known_persons
-- Of these NIKs those that the registry knows of.
select n.number, e.pseudonym as stands_for from number n join number e on e.kind = 0 and e.number = n.stands_for
where n.kind = 0 and n.number = any(:niks::bigint[]);

-- name: residents
-- Who is said to live in an area, by NIK, and whom each stands for.
select distinct f.nik, n.stands_for from fact f join number n on n.kind = 0 and n.number = f.nik
where substring(f.data from '"region":"([0-9.]+)"') = :region
  and (f.until is null or f.until >= f.since);

-- name: retire_reports
-- Forget reports filed before an instant, with all that was told of them; an answer that names no agency goes with the
-- last report that it may be about.
with gone as (
    delete from report where (agency, about) in (
        select agency, about from report where filed_at < :before order by filed_at limit :most)
    returning agency, about, key
), filed as (
    delete from report_told t using gone g where t.type = :filed and (t.agency, t.about) = (g.agency, g.about)
), answered as (
    delete from report_told t using gone g
    where t.type <> :filed
      and (t.about = g.agency || '/' || g.about
           or (t.about = g.about and not exists (
               select from report r
               where r.about = g.about and (r.agency, r.about) not in (select agency, about from gone))))
), held as (
    delete from statement s using gone g
    where (s.type = :filed and (s.agency, s.about) = (g.agency, g.about)))
select agency, about, key from gone;
