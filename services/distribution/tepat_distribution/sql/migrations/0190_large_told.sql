-- Of a group that is too large: the area that its live payouts share, and what else was announced of it.
alter table too_large add column region text collate "C", add column policy_version text,
                      add column announced_at timestamptz;

-- The longest area code that both lie in; of two that are the least and the greatest of many, that all of these lie in.
create function shared_area(a text, b text) returns text
language sql immutable parallel safe
begin atomic
    select left(a, n) from unnest(array[13, 8, 5, 2]) n where length(a) >= n and left(a, n) = left(b, n)
    order by n desc limit 1;
end;

-- The area that all live payouts of a person or household lie in; none where they share none.
create function area_of(g uuid, of_person boolean) returns text
language sql stable
begin atomic
    select shared_area(min(p.region), max(p.region))
    from (select region from payout where not of_person and live and household = g
          union all
          select region from payout where of_person and live and person = g) p;
end;

-- Groups found before are looked at once more, and their planned payouts answered.
insert into mark (fresh, agencies, payout_ids)
select false, array_agg(p.agency), array_agg(p.payout_id)
from too_large l
cross join lateral (
    select agency, payout_id from payout where live and household = l.g
    union all
    select agency, payout_id from payout where live and person = l.g) p
where l.live
having count(*) > 0;
