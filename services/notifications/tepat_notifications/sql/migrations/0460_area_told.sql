-- The area that all lies in of which a notice tells, as it was when it was put together; none where there is no such
-- area, or where it tells of something without one, such as rejected records.
alter table delivery add column region text collate "C";

create function area_told(delivery uuid) returns text
language sql stable
begin atomic
    select left(lowest, n)
    from (select min(region) as lowest, max(region) as highest, bool_and(region is not null) as all_known
          from (select o.region from telling t join overlap o using (overlap_id)
                where t.delivery_id = area_told.delivery
                union all
                select c.region from hearing h join cause c using (cause_id)
                where h.delivery_id = area_told.delivery) told) ends,
         unnest(array[13, 8, 5, 2]) n
    where all_known and length(lowest) >= n and left(lowest, n) = left(highest, n)
    order by n desc limit 1;
end;

update delivery set region = area_told(delivery_id);
