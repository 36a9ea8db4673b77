-- A plan made for an empty table serves badly when it has filled: plan each statement for what it finds.
set plan_cache_mode = force_custom_plan;
