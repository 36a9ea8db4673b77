-- Overlaps whose payments somebody with the right holds back as things stand: held or upheld. An exclusive one holds them
-- anyhow, but for the payment that its rule prefers; one of verdict review holds them for this alone.
create table withheld (
    overlap_id uuid primary key
);
