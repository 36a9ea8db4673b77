-- Reports from below: all that was told of each, where each stands, and when it goes on.

-- Every revision of every report and answer: of those about one revision the one that holds, and when it first stood on
-- its topic (of what came before this table, when it was taken).
create table report_told (
    agency   text collate "C" not null,
    type     text collate "C" not null,
    about    text collate "C" not null,
    revision bigint not null,
    time     timestamptz not null,
    event_id text collate "C" not null,
    data     text collate "C" not null,
    at       timestamptz not null,
    trace    text not null,
    primary key (about, type, agency, revision)
);
insert into report_told (agency, type, about, revision, time, event_id, data, at, trace)
select agency, type, about, revision, time, event_id, data, taken_at, trace from statement
where type in ('tepat.report.filed.v1', 'tepat.report.answered.v1');

-- Where each report stands, as it was last looked at.
create table report (
    agency     text collate "C" not null,
    about      text collate "C" not null,
    key        text collate "C" not null,        -- what it is announced under
    kind       text collate "C" not null,
    region     text collate "C" not null,
    areas      text[] collate "C" not null,      -- every area that what covers it may be known by
    step       text collate "C" not null,
    state      text collate "C" not null check (state in ('waiting', 'acknowledged', 'overdue', 'closed')),
    in_charge  text collate "C",
    since      timestamptz not null,
    due_at     timestamptz,                      -- goes on then, unless it is answered
    filed_at   timestamptz not null,
    moved_at   timestamptz not null,             -- the last that happened to it
    outcome    text collate "C",
    primary key (agency, about)
);
create index report_due on report (due_at) where due_at is not null;
create index report_areas on report using gin (areas);
create index report_open on report (about) where state <> 'closed';

-- To be looked at: the ids of reports of which something was told, one row a transaction.
create table route (
    id    bigint generated always as identity primary key,
    about text[] collate "C" not null
);
insert into route (about) select array_agg(distinct about) from report_told having count(*) > 0;

-- Institutions: when each revision was known, of what kind it is, and the areas it covers, none where not active.
alter table institution add column at timestamptz, add column kind text collate "C" not null default '',
    add column areas text[] collate "C" not null default '{}';
update institution set at = time;
update institution i set kind = told.kind, areas = told.areas
from (select agency, about, revision, data::json ->> 'kind' as kind,
             array(select json_array_elements_text(data::json -> 'regions')
                   where (data::json ->> 'active')::boolean) as areas
      from institution where data is json and position('\u0000' in data) = 0) told
where (i.agency, i.about, i.revision) = (told.agency, told.about, told.revision);
alter table institution alter column at set not null, alter column kind drop default, alter column areas drop default;
create index institution_areas on institution using gin (areas);

-- People in reports without a NIK are looked for where they live. Not by JSON: a NUL in a field that nobody knows, or a
-- number beyond all bounds, would be refused.
create index fact_region on fact (substring(data from '"region":"([0-9.]+)"'));
