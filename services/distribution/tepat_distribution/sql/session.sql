-- Each connection's own scratch tables; emptied at every commit.
create temp table if not exists stage (
    agency smallint, revision bigint, rank smallint, event_time timestamptz, nik uuid, told uuid, told_kk boolean,
    programme smallint, starts date, ends date, amount bigint, partition int, "offset" bigint, digest bigint,
    payout_id text collate "C", event_id text collate "C", region text collate "C", trace text
) on commit delete rows;

create temp table if not exists touched (g uuid, person boolean) on commit delete rows;

create temp table if not exists member (
    g uuid, by_person boolean, person uuid, household uuid, amount bigint, revision bigint, starts date, ends date,
    agency smallint, programme smallint, rank smallint, code text collate "C", payout_id text collate "C",
    region text collate "C", trace text
) on commit delete rows;

create temp table if not exists announced (
    agency_a smallint, payout_a text collate "C", agency_b smallint, payout_b text collate "C", overlap_id uuid,
    revision bigint, live boolean, rule text collate "C", by_person boolean, strength smallint, starts date, ends date,
    household uuid, region text collate "C", amount_at_risk bigint, amount_a bigint, amount_b bigint,
    programme_a smallint, programme_b smallint, revision_a bigint, revision_b bigint, rank_a smallint, rank_b smallint,
    person uuid, shared_person uuid, shared_household uuid, policy_version text, announced_at timestamptz
) on commit delete rows;
