-- What was promised to those who were erased before, and not fetched, is the next one's: as rounds.sql has it from now on.
with gone as (
    update coupon c set subject = null, state = 'returned'
    where state = 'allocated' and not exists (
        select from ranked l where (l.round, l.place, l.subject) = (c.round, c.place, c.subject))
    returning round, place
), back as (
    insert into return (round, place, reason, recorded_at, by)
    select round, place, 'penerima dihapus dari data / the recipient was erased', now(), 'distribution' from gone
    returning round)
insert into round_due (round, due) select distinct round, now() from back on conflict (round) do nothing;

insert into coupon (round, place, subject, region)
select round, place, subject, region
from (select l.*, row_number() over (partition by round order by l.place) as nth, free
      from (select r.round, r.stock - count(c.place) filter (where c.state = 'allocated') as free, max(c.place) as last
            from round r join coupon c using (round) where r.open group by r.round, r.stock) r
      join ranked l using (round)
      where l.place > last) n
where nth <= free
on conflict do nothing;
