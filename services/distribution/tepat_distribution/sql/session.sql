-- Each connection's own scratch tables; emptied at every commit.
create temp table if not exists arriving (
    agencies smallint[], payout_ids text[], niks uuid[], tolds uuid[], told_kks boolean[], starts date[]
) on commit delete rows;
alter table arriving
    alter column payout_ids set storage external, alter column niks set storage external,
    alter column tolds set storage external;

create temp table if not exists stage (
    agency smallint, revision bigint, rank smallint, event_time timestamptz, nik uuid, told uuid, told_kk boolean,
    programme smallint, starts date, ends date, amount bigint, partition int, "offset" bigint, digest bigint,
    person uuid, household uuid, kind smallint, appended bigint, payout_id text collate "C", event_id text collate "C",
    region text collate "C", trace text, more text
) on commit delete rows;

create temp table if not exists touched (agency smallint, payout_id text collate "C") on commit delete rows;

create temp table if not exists left_group (g uuid, person boolean) on commit delete rows;

create temp table if not exists subject (
    household uuid, person uuid, starts date, ends date, agency smallint, programme smallint, live boolean,
    fresh boolean, payout_id text collate "C", rank smallint
) on commit delete rows;

-- The least broker time of the marks that a step took: what it leaves for later is no younger.
create temp table if not exists origin (appended bigint) on commit delete rows;

-- Payouts of which it is worked out whether they may go; `behind`: although not all is read.
-- A payment list that is only asked about.
create temp table if not exists listed (
    n int, payout_id text collate "C", nik uuid, told uuid, told_kk boolean, programme smallint, starts date, ends date,
    revision bigint, rank smallint, event_time timestamptz, event_id text collate "C", amount bigint, kind smallint,
    region text collate "C", more text, digest bigint
) on commit delete rows;

create temp table if not exists asked (agency smallint, payout_id text collate "C", behind boolean) on commit delete rows;

create temp table if not exists candidate (
    household uuid, person uuid, starts date, ends date, agency smallint, programme smallint, payout_id text collate "C",
    other_household uuid, other_person uuid, other_starts date, other_ends date, other_agency smallint,
    other_programme smallint, other_payout_id text collate "C"
) on commit delete rows;

-- What was announced of subjects, by either side.
create temp table if not exists announced_before (
    agency_a smallint, payout_a text collate "C", agency_b smallint, payout_b text collate "C"
) on commit delete rows;

create temp table if not exists announced (
    agency_a smallint, payout_a text collate "C", agency_b smallint, payout_b text collate "C", overlap_id uuid,
    revision bigint, live boolean, rule text collate "C", by_person boolean, strength smallint, starts date, ends date,
    household uuid, region text collate "C", amount_at_risk bigint, amount_a bigint, amount_b bigint,
    programme_a smallint, programme_b smallint, revision_a bigint, revision_b bigint, rank_a smallint, rank_b smallint,
    person uuid, policy_version text, announced_at timestamptz, reason text collate "C", ended_a bigint, ended_b bigint
) on commit delete rows;

-- Payouts that would stand in another household under a policy that is only proposed. Not emptied by a commit: one that
-- is cancelled in the midst of that leaves an index without its first page, and every later look at it fails.
create temp table if not exists moving (
    agency smallint, payout_id text collate "C", household uuid, primary key (agency, payout_id)
);

-- Payouts whose findings are looked at, as they are now; the persons and households they are or were with.
create temp table if not exists looked (
    nik uuid, person uuid, household uuid, starts date, amount bigint, agency smallint, programme smallint,
    rank smallint, live boolean, payout_id text collate "C", region text collate "C"
) on commit delete rows;

create temp table if not exists looked_group (g uuid) on commit delete rows;

-- The payouts of these persons and households, by the unit of their programmes.
create temp table if not exists member (
    g uuid, person uuid, household uuid, starts date, ends date, amount bigint, agency smallint, programme smallint,
    of_person boolean, code text collate "C", payout_id text collate "C", region text collate "C", tranche text,
    component text
) on commit delete rows;

create temp table if not exists announced_finding (
    finding_id uuid, revision bigint, live boolean, rule text, of_group boolean, person uuid, household uuid,
    programme smallint, agencies smallint[], payout_ids text[], region text, evidence text, policy_version text,
    announced_at timestamptz
) on commit delete rows;

-- Payouts just forgotten, and with whom they were.
create temp table if not exists forgotten (
    nik uuid, person uuid, household uuid, agency smallint, payout_id text collate "C"
) on commit delete rows;
