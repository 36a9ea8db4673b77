-- Overlaps of verdict review whose payments somebody with the right holds back as things stand: held or upheld.
create table withheld (
    overlap_id uuid primary key
);
