-- Every statement here looks up a few thousand keys in tables of any size: by index, whatever the statistics of a
-- table that fills and empties say, so that a step costs the same in a full database as in a new one.
set plan_cache_mode = force_custom_plan;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set max_parallel_workers_per_gather = 0;
