-- A changed policy rewrites one programme's decisions of all subjects, some tenth of each page: with room for that on
-- the page itself no index is written.
alter table decision set (fillfactor = 85);
