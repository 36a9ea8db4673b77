-- Each connection's own scratch tables; emptied at every commit.
create temp table if not exists taken (
    overlap_id uuid, code text collate "C", revision bigint, live boolean, verdict text collate "C", rule text,
    agency_a text collate "C", payout_a text collate "C", programme_a text collate "C", amount_a bigint,
    agency_b text collate "C", payout_b text collate "C", programme_b text collate "C", amount_b bigint,
    amount_at_risk bigint, starts date, ends date, region text collate "C", household uuid, reason text, trace text,
    announced_at timestamptz, taken_at timestamptz
) on commit delete rows;

-- Overlaps whose news to an agency over a channel are to be judged again.
create temp table if not exists touched (
    overlap_id uuid, agency text collate "C", channel text collate "C"
) on commit delete rows;

-- Causes as they were read.
create temp table if not exists stated (
    cause_id uuid, kind text collate "C", key text collate "C", code text collate "C", subject uuid, revision bigint,
    state text, news text collate "C", verdict text collate "C", amount bigint, programmes text[], agencies text[],
    region text collate "C", said jsonb, by text, trace text, announced_at timestamptz, taken_at timestamptz
) on commit delete rows;

-- Who is to hear of causes, by the policy in force.
create temp table if not exists wanted (
    cause_id uuid, recipient text collate "C", level int, terms_id int, moment text, due_at timestamptz,
    digest_at timestamptz
) on commit delete rows;
