-- When the broker appended the last record taken of a partition, in milliseconds: so far it has been read.
alter table position add column appended bigint;
