-- Each connection's own scratch tables; emptied at every commit.
create temp table if not exists stage (
    agency smallint, revision bigint, rank smallint, event_time timestamptz, nik uuid, told uuid, told_kk boolean,
    programme smallint, starts date, ends date, amount bigint, partition int, "offset" bigint, digest bigint,
    payout_id text collate "C", event_id text collate "C", region text collate "C", trace text
) on commit delete rows;

create temp table if not exists touched (agency smallint, payout_id text collate "C", fresh boolean)
    on commit delete rows;

create temp table if not exists left_group (g uuid, person boolean) on commit delete rows;

create temp table if not exists subject (
    household uuid, person uuid, starts date, ends date, agency smallint, programme smallint, live boolean,
    fresh boolean, household_large boolean, person_large boolean, spread boolean, payout_id text collate "C"
) on commit delete rows;

create temp table if not exists announced (
    agency_a smallint, payout_a text collate "C", agency_b smallint, payout_b text collate "C", overlap_id uuid,
    revision bigint, live boolean, rule text collate "C", by_person boolean, strength smallint, starts date, ends date,
    household uuid, region text collate "C", amount_at_risk bigint, amount_a bigint, amount_b bigint,
    programme_a smallint, programme_b smallint, revision_a bigint, revision_b bigint, rank_a smallint, rank_b smallint,
    person uuid, policy_version text, announced_at timestamptz
) on commit delete rows;
