-- Of the possible duplicates of one person the most probable are raised, and the others withheld as long as there are
-- more probable ones. What has no probability (a circle, a renewal) is no guess.
alter table suspect drop constraint suspect_state_check,
    add constraint suspect_state_check check (state in ('raised', 'withheld', 'dismissed', 'cleared')),
    add column probability double precision
        generated always as (coalesce((evidence ->> 'probability')::double precision, 1)) stored;
create index suspect_first on suspect (state, probability desc, pair);

-- Circles of merges stand among them.
with recursive way as (
    select c.least, l.into_number as at from circle c join link l on l.kind = 0 and l.from_number = c.least
    union
    select w.least, l.into_number from way w join link l on l.kind = 0 and l.from_number = w.at
)
insert into suspect (pair, kind, a, b, state, persons, evidence, raised_at)
select me.pseudonym::text, 'merge_circle', me.pseudonym, me.pseudonym, 'raised',
       jsonb_agg(n.pseudonym::text order by n.pseudonym), '{}', now()
from way w
join number me on me.kind = 0 and me.number = w.least
join number n on n.kind = 0 and n.number = w.at
group by me.pseudonym having count(*) > 1
on conflict do nothing;
drop table circle;

-- Whoever is suspected of many, and whose name tells nobody apart, is looked at again.
insert into look (niks, households)
select '{}', array_agg(person)
from (select person, row_number() over (order by person) / 500 as page
      from (select a as person from suspect where kind = 'duplicate' and state = 'raised'
            union all select b from suspect where kind = 'duplicate' and state = 'raised') s
      group by person having count(*) > 10) many
group by page;
insert into look (niks, households)
select array_agg(nik), '{}'
from (select nik, row_number() over (order by nik) / 1000 as page from fact
      where data ~* '"name":"([^"]*[0-9]|[^"a-z]*"|(tanpa|tidak|belum|tak|no|nama) )' group by nik) odd
group by page;
