-- Overlaps whose case lets the payments go as things stand: released or waived by somebody with the right.
create table released (
    overlap_id uuid primary key
);
