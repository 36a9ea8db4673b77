-- A new database reads our own topics back, so that revisions go on, and judges once the inbound ones are taken again.

-- name: recalled$
select exists (select from recalled);

-- name: recall_earlier!
-- What compaction has left of announcements before those that stand.
with anew as (delete from announced returning *)
insert into announcement (
    agency_a, payout_a, agency_b, payout_b, overlap_id, revision, live, rule, by_person, strength, starts, ends,
    household, region, amount_at_risk, amount_a, amount_b, programme_a, programme_b, revision_a, revision_b,
    rank_a, rank_b, person, policy_version, announced_at, reason, ended_a, ended_b)
select * from anew
on conflict do nothing;

-- name: recall_large!
insert into too_large (g, person, revision, live, region, policy_version, announced_at)
select * from unnest(:groups::uuid[], :persons::boolean[], :revisions::bigint[], :large::boolean[], :regions::text[],
                     :versions::text[], :at::timestamptz[])
on conflict (g) do update set
    revision = excluded.revision, live = excluded.live, region = excluded.region,
    policy_version = excluded.policy_version, announced_at = excluded.announced_at
where excluded.revision > too_large.revision;

-- name: recall_aid!
insert into aid (household, revision, told_at, digest)
select * from unnest(:households::uuid[], :revisions::bigint[], :at::timestamptz[], :digests::bytea[])
on conflict (household) do update set
    revision = excluded.revision, told_at = excluded.told_at, digest = excluded.digest
where excluded.revision > aid.revision;

-- name: unrecall_overlaps!
-- Tombstones: what was kept under these keys is forgotten.
with before as (delete from announcement where overlap_id = any(:keys::text[]::uuid[]))
delete from overlap where overlap_id = any(:keys::text[]::uuid[]);

-- name: unrecall_cases!
delete from overlap_case where overlap_id = any(:keys::text[]::uuid[]);

-- name: unrecall_findings!
delete from finding where finding_id = any(:keys::text[]::uuid[]);

-- name: unrecall_aid!
delete from aid where household = any(:keys::text[]::uuid[]);

-- name: unrecall_answers!
delete from clearance c using agency a
where a.code = :agency and c.agency = a.id and c.payout_id = any(:keys::text[]);

-- name: set_recalled!
-- All is read back. Where anything is announced, judging waits for the inbound records that stand now.
with first as (
    insert into recalled default values on conflict do nothing returning true
)
insert into rebuilding (topic, partition, until)
select * from unnest(:topics::text[], :partitions::int[], :until::bigint[])
where exists (select from first)
  and (exists (select from overlap where live) or exists (select from too_large where live)
       or exists (select from aid) or exists (select from finding where live));

-- name: rebuilding$
-- How many partitions are yet to be taken again; those that are taken are struck off.
with taken as (
    delete from rebuilding r using position p
    where (p.topic, p.partition) = (r.topic, r.partition) and p.next_offset >= r.until
    returning 1)
select (select count(*) from rebuilding) - (select count(*) from taken);

-- name: judge_recalled$
-- All is taken again: once, judge what was announced by both sides, so that what no longer holds is cleared, and look
-- at every household told of and every payout and group something was found of. Whether that was now.
with now as (
    update recalled set judged = true where not judged returning true
), marked as (
    insert into mark (fresh, agencies, payout_ids, left_groups)
    select false, array_agg(agency), array_agg(payout_id), '{}'::uuid[]
    from (
        select agency, payout_id, row_number() over (order by agency, payout_id) / :payouts as page
        from (select agency_a as agency, payout_a as payout_id from overlap where live
              union select agency_b, payout_b from overlap where live) announced
        where exists (select from now)) paged
    group by page
    union all
    select false, '{}', '{}', array_agg(g) from too_large
    where live and exists (select from now) having count(*) > 0
), told as (
    insert into aid_touch (at, households)
    select :now::timestamptz, array_agg(household)
    from (select household, row_number() over () / :payouts as page from aid where exists (select from now)) paged
    group by page
), touched as (
    insert into finding_touch (at, agencies, payout_ids)
    select :now::timestamptz, array_agg(agency), array_agg(payout_id)
    from (select agencies[1] as agency, payout_ids[1] as payout_id, row_number() over () / :payouts as page
          from finding where live and not of_group and exists (select from now)) paged
    group by page
), parted as (
    insert into finding_touch (at, left_groups)
    select :now::timestamptz, array_agg(g)
    from (select coalesce(household, person) as g, row_number() over () / :payouts as page
          from finding where live and of_group and exists (select from now)) paged
    group by page)
select exists (select from now);
