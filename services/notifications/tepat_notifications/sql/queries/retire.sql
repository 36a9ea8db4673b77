-- What is kept no longer. Every statement runs under the service's exclusive lock.

-- name: retire_notices$
-- Forget notices that ended before a moment, and what they were to tell and did not; how many. What a recipient heard of
-- something that stands is kept beside it, or it would be told again.
with gone as (
    delete from delivery where delivery_id in (
        select delivery_id from delivery
        where not open and queued_at < :before and coalesce(ended_at, queued_at) < :before limit :at_most)
    returning delivery_id
), untold as (
    delete from telling where not heard and delivery_id in (select delivery_id from gone))
select count(*) from gone;

-- name: retire_rejections$
-- Forget records that were refused before a moment; how many.
with gone as (
    delete from rejection where (topic, partition, "offset") in (
        select topic, partition, "offset" from rejection where rejected_at < :before limit :at_most)
    returning 1)
select count(*) from gone;

-- name: overlaps_over
-- Overlaps that were cleared before a moment.
select overlap_id from overlap where not live and taken_at < :before limit :at_most;

-- name: causes_over
-- Causes that ended before a moment. Records refused end with the day on which they are told.
select cause_id from cause where (state = 'over' or kind = 'rejection') and taken_at < :before limit :at_most;
