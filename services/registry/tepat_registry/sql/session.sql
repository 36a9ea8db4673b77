-- Each connection's own scratch table; emptied at every commit.
create temp table if not exists staged (
    nik bigint, person uuid, agency text collate "C", since date, until date, household uuid, revision bigint,
    time timestamptz, event_id text collate "C", data text collate "C", warnings text, partition int, "offset" bigint,
    trace text
) on commit delete rows;
