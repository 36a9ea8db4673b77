-- What a notice tells of, as its record names it: at most so many ids, the least first, and the trace of a single cause.
create function causes_of(delivery uuid, causes int, at_most int)
returns table (ids uuid[], trace text)
language sql stable
begin atomic
    select array_agg(told.id), min(told.trace) filter (where causes_of.causes = 1)
    from (select t.overlap_id as id, o.trace from telling t join overlap o using (overlap_id)
          where t.delivery_id = causes_of.delivery
          union all
          select c.subject, c.trace from hearing h join cause c using (cause_id)
          where h.delivery_id = causes_of.delivery
          order by 1 limit causes_of.at_most) told;
end;
