-- What households receive, as distribution tells it, and those who may be missed.

create table aid (
    household uuid primary key,
    revision  bigint not null,
    others    bigint not null,                   -- payouts beyond those told
    payouts   text not null                      -- JSON, as told
);

-- The days that payouts planned or disbursed to a person, as one of a household, are for.
create table received (
    household uuid not null,
    person    uuid not null,
    programme text collate "C" not null,
    days      datemultirange not null,
    primary key (household, person, programme)
);
create index received_person on received (person);

-- Whom reports name by NIK.
create table named (
    agency text collate "C" not null,
    report text collate "C" not null,
    nik    bigint not null,
    person uuid not null,
    alone  uuid not null,
    region text collate "C" not null,
    at     timestamptz not null,
    primary key (agency, report, nik)
);
create index named_person on named (person);

-- Persons who stand for themselves and are of a decile that programmes are for, or named in a report: under which card
-- when. Of one whom no agency places anywhere: the household of that person alone, in the report's area.
create table needy (
    person      uuid not null,
    since       date not null,
    until       date not null,
    card        uuid not null,
    region      text collate "C" not null,
    decile      smallint,
    deceased_on date,
    known_since date,
    named_at    timestamptz,
    primary key (person, since)
);
create index needy_region on needy (region);

-- The needy of an area on a day: `first` and `last` hold the area's codes between them, `last` beyond the last one.
create function needing(on_day date, to_decile int, first text, last text, zone text)
returns table (person uuid, household uuid, region text, decile smallint, known_since date)
language sql stable parallel safe
begin atomic
    select n.person, coalesce(e.pseudonym, n.card), n.region, n.decile,
           least(n.known_since, (n.named_at at time zone zone)::date)
    from needy n
    left join number c on c.pseudonym = n.card and c.kind = 1 and c.stands_for <> c.number
    left join number e on e.kind = 1 and e.number = c.stands_for
    where n.region >= first and n.region < last and n.since <= on_day and n.until >= on_day
      and (n.deceased_on is null or n.deceased_on > on_day)
      and (n.decile <= to_decile or (n.named_at at time zone zone)::date <= on_day);
end;

-- Of these the ones who receive nothing on the day, neither their household nor they themselves; programmes `apart` do
-- not count. By household, with the last day on which any of them did.
create function unserved(on_day date, to_decile int, first text, last text, zone text, apart text[])
returns table (household uuid, region text, decile smallint, persons uuid[], known_since date, served_until date)
language sql stable parallel safe
begin atomic
    select n.household, min(n.region), min(n.decile), array_agg(distinct n.person), min(n.known_since),
           greatest(max(upper(together.days * datemultirange(daterange(null, on_day)))),
                    max(upper(alone.days * datemultirange(daterange(null, on_day))))) - 1
    from needing(on_day, to_decile, first, last, zone) n
    left join received together on together.household = n.household and together.programme <> all(apart)
    left join received alone on alone.person = n.person and alone.programme <> all(apart)
                            and alone.household <> n.household
    where not exists (select from received r
                      where r.household = n.household and r.days @> on_day and r.programme <> all(apart))
      and not exists (select from received r
                      where r.person = n.person and r.days @> on_day and r.programme <> all(apart))
    group by n.household;
end;

-- Everyone and every report is looked at once, who is needy among them.
alter table recheck add column everyone boolean not null default false;
insert into recheck (after, everyone) select 0, true where exists (select from fact) or exists (select from statement);
