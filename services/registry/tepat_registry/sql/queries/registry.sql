-- Facts, links and statements: every statement here relies on the exclusive lock.

-- name: take_facts
-- Know the NIKs staged, each standing for itself, and take the facts that hold over what was held; the NIKs changed.
-- What was told of a person before they were erased is passed over.
with told as (
    select s.* from staged s
    where not exists (select from erased e where e.person = s.person and s.time <= e.time)
), known as (
    insert into number (kind, number, stands_for, pseudonym) select 0, nik, nik, person from told
    on conflict (kind, number) do nothing)
insert into fact as f (nik, agency, since, until, household, revision, time, event_id, data, warnings, partition,
                       "offset", trace)
select nik, agency, since, until, household, revision, time, event_id, data, warnings, partition, "offset", trace
from told
on conflict (nik, agency, since) do update set
    until = excluded.until, household = excluded.household, revision = excluded.revision, time = excluded.time,
    event_id = excluded.event_id, data = excluded.data, warnings = excluded.warnings, partition = excluded.partition,
    "offset" = excluded."offset", trace = excluded.trace, taken_at = excluded.taken_at
where (excluded.revision, excluded.time, excluded.event_id, excluded.data)
    > (f.revision, f.time, f.event_id, f.data)
returning new.nik, old.household as left_household;

-- name: take_links
-- Take the links that hold over what was held; from where to where they lead now and led before.
insert into link as l (kind, from_number, into_number, revision, time, event_id, agency, data, partition, "offset",
                       trace)
select * from unnest(:kind::smallint[], :from_number::bigint[], :into_number::bigint[], :revision::bigint[],
                     :time::timestamptz[], :event_id::text[], :agency::text[], :data::text[], :partition::int[],
                     :offset::bigint[], :trace::text[])
on conflict (kind, from_number) do update set
    into_number = excluded.into_number, revision = excluded.revision, time = excluded.time,
    event_id = excluded.event_id, agency = excluded.agency, data = excluded.data, partition = excluded.partition,
    "offset" = excluded."offset", trace = excluded.trace, taken_at = excluded.taken_at
where (excluded.revision, excluded.time, excluded.event_id, excluded.agency, excluded.data,
       coalesce(excluded.into_number, 0))
    > (l.revision, l.time, l.event_id, l.agency, l.data, coalesce(l.into_number, 0))
returning new.from_number, new.into_number, old.into_number as led_into, new.trace;

-- name: take_statements
-- Take the statements that hold over what was held; those taken.
insert into statement as s (agency, type, about, revision, time, event_id, data, topic, partition, "offset", trace)
select * from unnest(:agency::text[], :type::text[], :about::text[], :revision::bigint[], :time::timestamptz[],
                     :event_id::text[], :data::text[], :topic::text[], :partition::int[], :offset::bigint[],
                     :trace::text[])
on conflict (agency, type, about) do update set
    revision = excluded.revision, time = excluded.time, event_id = excluded.event_id, data = excluded.data,
    topic = excluded.topic, partition = excluded.partition, "offset" = excluded."offset", trace = excluded.trace,
    taken_at = excluded.taken_at
where (excluded.revision, excluded.time, excluded.event_id, excluded.data)
    > (s.revision, s.time, s.event_id, s.data)
returning agency, type, about;

-- name: know
-- Know these numbers, each standing for itself; those that are new.
insert into number (kind, number, stands_for, pseudonym)
select :kind::smallint, number, number, pseudonym from unnest(:numbers::bigint[], :pseudonyms::uuid[]) n (number, pseudonym)
on conflict (kind, number) do nothing
returning number;

-- name: groups
-- Every number that stands for the same as one of these does, and where its link leads.
with ends as materialized (
    select distinct stands_for as number from number where kind = :kind and number = any(:numbers::bigint[]))
select n.number, n.stands_for, l.into_number
from (select number, stands_for from ends join number using (number) where kind = :kind
      union all
      select n.number, n.stands_for from ends join number n on n.stands_for = ends.number
      where n.kind = :kind and n.stands_for <> n.number) n
left join link l on l.kind = :kind and l.from_number = n.number;

-- name: stand!
-- Let each number stand for another one.
update number n set stands_for = s.stands_for
from unnest(:numbers::bigint[], :stand_for::bigint[]) s (number, stands_for)
where n.kind = :kind and n.number = s.number;

-- name: circles
-- The circles raised whose least NIK is one of these.
select n.number as least from suspect s join number n on n.kind = 0 and n.pseudonym = s.a
where s.kind = 'merge_circle' and s.state = 'raised' and n.number = any(:numbers::bigint[]);

-- name: who
-- Whom each of these numbers stands for.
select number, pseudonym, stands_for from number where kind = :kind and number = any(:numbers::bigint[]);

-- name: aliases
-- The other NIKs that each of these stands for.
select stands_for, array_agg(number) from number
where kind = 0 and stands_for = any(:niks::bigint[]) and stands_for <> number
group by stands_for;

-- name: facts_of
-- The facts that hold about these NIKs: the most trusted agency first, of one agency's the latest.
select f.nik, f.agency, f.time, f.household, f.data, f.trace
from fact f left join trust t using (agency)
where f.nik = any(:niks::bigint[]) and (f.until is null or f.until >= f.since)
order by f.nik, t.rank nulls last, f.agency, f.since desc;

-- name: announce
-- Keep what is announced now; those whose content changed, with their new revision.
insert into announced as a (key, digest, revision, at)
select key, digest, 1, :now::timestamptz from unnest(:keys::uuid[], :digests::bytea[]) n (key, digest)
on conflict (key) do update set revision = a.revision + 1, digest = excluded.digest, at = excluded.at
where a.digest is distinct from excluded.digest
returning key, revision;

-- name: recall!
-- Keep the greatest revision that our own topic holds of each key, and the content it had.
insert into announced as a (key, revision, digest, at)
select * from unnest(:keys::uuid[], :revisions::bigint[], :digests::bytea[], :at::timestamptz[])
on conflict (key) do update set revision = excluded.revision, digest = excluded.digest, at = excluded.at
where excluded.revision > a.revision;

-- name: recall_gone!
-- Our own topic holds nothing under these keys any more.
update announced set digest = null where key = any(:keys::uuid[]);

-- name: recalled
select topic from recalled;

-- name: set_recalled!
insert into recalled (topic) select unnest(:topics::text[]) on conflict (topic) do nothing;

-- name: first_secret$
-- The secret that the first policy taken named.
select document ->> 'secret_id' from standing order by seq limit 1;

-- name: trust
-- Ranks of trust as this database follows them.
select agency, rank from trust;

-- name: followed$
-- The policy followed last, as kept.
select document -> 'policy' from standing order by seq desc limit 1;

-- name: forget_trust!
delete from trust;

-- name: set_trust!
insert into trust (agency, rank) select * from unnest(:agencies::text[], :ranks::int[]);

-- name: recheck_all!
-- Begin to look at every disputed person again.
with begun as (delete from recheck returning everyone)
insert into recheck (after, everyone) select 0, coalesce(bool_or(everyone), false) from begun;

-- name: recheck_after$
select after from recheck;

-- name: recheck_on!
-- This far it has come, unless it was begun anew meanwhile.
update recheck set after = :reached where after = :after;

-- name: recheck_done!
-- It is done, unless it was begun anew meanwhile.
delete from recheck where after = :after;

-- name: left_to_do$
-- What other duties are yet to do.
select (select count(*) from recheck) + (select count(*) from look) + (select count(*) from route);

-- name: disputed
-- The next NIKs of whom more than one agency tells: only what is announced of them depends on ranks of trust. Where
-- everyone is to be looked at: the next of all.
select nik from fact where nik > :after group by nik
having min(agency) <> max(agency) or exists (select from recheck where everyone) order by nik limit :most;

-- What people ask for.

-- name: nik_of$
-- The NIK behind a person's pseudonym.
select number from number where kind = 0 and pseudonym = :pseudonym;

-- name: number_of^
-- The NIK or KK behind a pseudonym.
select kind, number from number where pseudonym = :pseudonym;

-- name: cards_of
-- The household that a card stands for, and every card that stands for that one: itself where it was never renewed.
with named as (select pseudonym, number, stands_for from number where kind = 1 and pseudonym = :household)
select n.pseudonym as card, e.pseudonym as stands_for
from named
join number e on e.kind = 1 and e.number = named.stands_for
join number n on n.kind = 1 and n.stands_for = named.stands_for
union all
select :household, :household where not exists (select from named);

-- name: members_of
-- The NIKs that any fact places in a household known by one of these cards, and whom each stands for.
select distinct f.nik, n.stands_for
from fact f join number n on n.kind = 0 and n.number = f.nik
where f.household = any(:cards::uuid[]);

-- name: facts_told
-- The facts held about a NIK or a household, or of an event, with their place.
select f.*, n.pseudonym as person, 'agency.' || f.agency || '.beneficiaries.v1' as topic
from fact f join number n on n.kind = 0 and n.number = f.nik
where f.nik = :nik::bigint or f.household = :household::uuid or f.event_id = :event_id::text
order by f.agency, f.since;

-- name: links_told
-- The links held from or into a number, or of an event, with their place.
select l.*, s.pseudonym as start, e.pseudonym as ending, 'agency.' || l.agency || '.beneficiaries.v1' as topic
from link l
join number s on s.kind = l.kind and s.number = l.from_number
left join number e on e.kind = l.kind and e.number = l.into_number
where (l.kind, l.from_number) = (:kind::smallint, :number::bigint)
   or (l.kind, l.into_number) = (:kind::smallint, :number::bigint)
   or l.event_id = :event_id::text;

-- name: statements_told
-- What is held of an event, or of an agency's report and its own answer to it, with its place.
select * from statement
where event_id = :event_id or (agency = :agency and type in (:filed, :answered) and about = :report);

-- name: announced
-- What was last announced of these persons and households.
select a.key, a.revision, a.at, n.kind
from announced a join number n on n.pseudonym = a.key where a.key = any(:keys::uuid[]);

-- name: institutions
-- The next institutions, by agency and id.
select agency, about, data from statement
where type = :type and (agency, about) > (:agency, :about) order by agency, about limit :most;
