-- Where whom eligibility decided of lives, for the report: told anew from the beginning of the topic.
alter table decision add column region text collate "C";
update decision set revision = revision - 1;
delete from position where topic = 'eligibility.decisions.v1';

-- Which reports from below were filed, by the keys under which the registry tells of them.
create table filed (
    key       text collate "C" primary key,
    agency    text collate "C" not null,
    report_id text collate "C" not null
);
create index filed_by on filed (agency, report_id);
