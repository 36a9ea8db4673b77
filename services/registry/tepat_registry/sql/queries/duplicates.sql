-- Whom persons are compared with. The duty `look` alone calls these, one instance at a time.

-- name: niks_called
-- The NIKs that have one of these pseudonyms.
select number as nik from number where kind = 0 and pseudonym = any(:pseudonyms::uuid[]);

-- name: for_themselves
-- Of these NIKs those that stand for themselves.
select number as nik from number where kind = 0 and number = any(:niks::bigint[]) and stands_for = number;

-- name: traits_of
-- What these persons are compared by, as it was looked at last.
select nik, words, born, sex, region, listed from traits where nik = any(:niks::bigint[]);

-- name: keep_traits!
insert into traits as t (nik, words, born, sex, region, listed)
select * from unnest(:niks::bigint[], :words::text[], :born::text[], :sexes::text[], :regions::text[], :listed::text[])
on conflict (nik) do update set
    words = excluded.words, born = excluded.born, sex = excluded.sex, region = excluded.region, listed = excluded.listed;

-- name: forget_traits!
delete from traits where nik = any(:niks::bigint[]);

-- name: leave!
-- Take persons from under keys, row by row.
delete from block b using unnest(:keys::bigint[], :niks::bigint[]) l (key, nik) where (b.key, b.nik) = (l.key, l.nik);

-- name: join_!
-- Put persons under keys, row by row.
insert into block (key, nik) select * from unnest(:keys::bigint[], :niks::bigint[]) on conflict do nothing;

-- name: met
-- Who is under each of these keys, at most so many of them; keys with one person or none are left out.
select k.key, f.niks
from unnest(:keys::bigint[], :most::int[]) k (key, most)
cross join lateral (
    select array_agg(nik) as niks from (select nik from block where key = k.key limit k.most) b) f
where cardinality(f.niks) > 1;
