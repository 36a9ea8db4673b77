-- A report reads the payouts of a period. They come much in the order of their periods, so that ranges of pages tell
-- which may hold any; unlike a tree, this costs next to nothing to keep, and leaves updates in place.
create index payout_period on payout using brin (starts) with (pages_per_range = 32, autosummarize = on);
