-- name: recalled$
-- Whether our own topic was read.
select exists (select from recalled);

-- name: set_recalled!
-- It was read.
insert into recalled default values on conflict do nothing;

-- name: recall!
-- Keeps what is announced of each key at its greatest revision.
with unseen as (
    insert into stands (subject, fold, region) select distinct subject, 0, '?' from unnest(:subjects::uuid[]) as subject
    on conflict (subject) do update set region = '?')
insert into decision as d (
    subject, programme, unit, decision, explanation, withdrawn, region, policy_version, as_of, decided_at, revision)
select * from unnest(
    :subjects::uuid[], :programmes::text[], :units::text[], :decisions::text[], :explanations::bigint[],
    :withdrawn::bool[], :regions::text[], :versions::text[], :days::date[], :times::timestamptz[], :revisions::bigint[])
on conflict (subject, programme) do update
    set unit = excluded.unit, decision = excluded.decision, explanation = excluded.explanation,
        withdrawn = excluded.withdrawn, region = excluded.region, policy_version = excluded.policy_version,
        as_of = excluded.as_of, decided_at = excluded.decided_at, revision = excluded.revision
    where d.revision < excluded.revision;

-- name: to_clear$
-- Whether decisions read from our own topic are still to be looked through.
update recalled set cleared = true where not cleared returning true;

-- name: orphans
-- Subjects of standing decisions that live nowhere: known from our own topic alone.
select distinct subject::text as subject from decision
where not withdrawn
    and not exists (select from residence where person = subject)
    and not exists (select from residence where household = subject);

-- name: recall_gone!
-- Our own topic holds nothing under these keys any more.
delete from decision d using unnest(:programmes::text[], :subjects::uuid[]) g (programme, subject)
where (d.programme, d.subject) = (g.programme, g.subject);

-- name: recall_ranking!
-- Keeps a round as it was told, under the number it had.
insert into ranking as r (round, number, made_at, as_of, places, ranked, programme, unit, region, policy_version,
                          rank_by, who, revision)
overriding system value
values (:round, :number, :made_at, :as_of, :places, :ranked, :programme, :unit, :region, :policy_version, :rank_by,
        :who, :revision)
on conflict (round) do update set revision = greatest(r.revision, excluded.revision);

-- name: forget_places!
-- Of a round, what a part of it told before.
delete from ranked where round = :round and rank between :first and :last;

-- name: recall_places!
-- Keeps what a part of a round told; what each rank rests on is told on no topic.
insert into ranked (round, subject, rank, left_out, score, reached, region, facts, missing)
select :round, subject, rank, left_out, score, reached, region, '{}', '[]'
from unnest(:subjects::uuid[], :ranks::bigint[], :left_out::bigint[], :scores::float8[], :reached::bool[],
            :regions::text[]) as told (subject, rank, left_out, score, reached, region)
on conflict do nothing;

-- name: number_on$
-- The next round is numbered above those read back.
select setval(pg_get_serial_sequence('ranking', 'number'), greatest((select max(number) from ranking), 1),
              exists (select from ranking));
