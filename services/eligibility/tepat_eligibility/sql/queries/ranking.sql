-- name: begin_ranking$
-- Begins a round, unless one of that name was made; rounds of one programme are made one after the other.
insert into ranking (round, as_of, places, ranked, programme, unit, region, policy_version, rank_by, who, name)
values (:round, :as_of, :places, 0, :programme, :unit, :region, :policy_version, :rank_by, :who, :name)
on conflict do nothing
returning true;

-- name: one_ranking_at_a_time
-- Rounds of a programme are made one after the other: each sees who was left out of those before.
select pg_advisory_xact_lock(hashtextextended('ranking ' || :programme, 0));

-- name: eligible
-- The eligible of a programme in an area, with the household each lives in today.
select d.subject::text as subject, coalesce(r.household, d.subject)::text as household, d.region as region
from decision d left join residence r on d.unit = 'person' and r.person = d.subject
where d.programme = :programme and d.decision = 'eligible' and d.region ^@ :region
order by d.subject;

-- name: left_out
-- In how many rounds of a programme in a row, up to the last, each was ranked and had no turn: was not reached, unless
-- distribution told otherwise.
select subject::text as subject, count(*) as rounds
from unnest(string_to_array(:subjects, ',')::uuid[]) as subject
    join ranked l using (subject) join ranking r using (round)
where r.programme = :programme and not coalesce(l.turn, l.reached) and r.number > coalesce((
    select max(before.number) from ranked had join ranking before using (round)
    where had.subject = l.subject and coalesce(had.turn, had.reached) and before.programme = :programme), 0)
group by subject;

-- name: keep_ranking!
-- Keeps who was ranked where.
with every as (
    insert into ranked (round, subject, region, rank, left_out, score, reached, facts, missing)
    select :round, subject, region, rank, left_out, score, rank <= :places, facts, missing
    from unnest(:subjects::uuid[], :regions::text[], :left_out::bigint[], :scores::float8[], :facts::text[],
                :missing::text[])
        with ordinality as told (subject, region, left_out, score, facts, missing, rank)
    returning 1)
update ranking set ranked = (select count(*) from every) where round = :round;

-- name: ranking^
-- A round.
select * from ranking where round = :round;

-- name: rankings
-- Rounds, the last first.
select * from ranking
where (:after::bigint is null or number < :after)
    and (:programme::text is null or programme = :programme)
    and (:regions::text[] is null or region ^@ any(:regions::text[]))
order by number desc
limit :at_most;

-- name: ranked
-- Who was ranked in a round, from a rank on, with the score of the last who was reached.
select *, (select score from ranked last where last.round = :round and last.reached order by rank desc limit 1) as cut
from ranked
where round = :round and rank > :after and (:reached::bool is null or reached = :reached)
order by rank
limit :at_most;

-- name: rounds_with
-- The rounds that were told, in which any of these was ranked.
select distinct round from ranked join ranking using (round)
where subject = any(:subjects::uuid[]) and revision > 0 order by round;

-- name: forget_ranked!
delete from ranked where subject = any(:subjects::uuid[]);

-- name: tell_rankings
-- Rounds that are told, now or anew, with their new revisions.
update ranking set revision = revision + 1 where round = any(:rounds::text[]) returning *;

-- name: places
-- Everybody's place in a round.
select subject::text as subject, rank, reached, left_out, region, score from ranked where round = :round order by rank;

-- name: take_turns!
-- Keep who had their turn otherwise than their place said.
update ranked l set turn = told.had
from (select t ->> 'round' as round, (e ->> 'subject')::uuid as subject, (e ->> 'had')::bool as had
      from unnest(:told::text[]) part
      cross join lateral (select part::jsonb as t) as as_json
      cross join lateral jsonb_array_elements(t -> 'turns') e) told
where (l.round, l.subject) = (told.round, told.subject);
