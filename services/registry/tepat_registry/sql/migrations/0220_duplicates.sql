-- Who may be one person under two NIKs. The duty `look` alone writes these two; both follow from `fact` and `number`.

-- What each person who has facts, and whom their own NIK stands for, is compared by.
create table traits (
    nik    bigint primary key,
    words  text collate "C" not null,            -- of the name, as linkage.names gives them, with spaces between
    born   text collate "C" not null,            -- as ISO 8601 has it
    sex    text collate "C" not null,
    region text collate "C" not null,
    listed text collate "C" not null             -- agencies and households, in turn, with spaces between
);

-- Under which keys they are found: two are compared only where they share one.
create table block (
    key bigint not null,
    nik bigint not null,
    primary key (key, nik)
);

-- All who are known already are to be looked at.
insert into look (niks, households)
select array_agg(nik), '{}'
from (select nik, row_number() over (order by nik) / 1000 as part from fact group by nik) f
group by part order by part;
