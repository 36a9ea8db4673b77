-- Every revision told of an institution, so that it is known whom it covered on a day: of those about one revision the
-- one that holds.
create table institution (
    agency   text collate "C" not null,
    about    text collate "C" not null,
    revision bigint not null,
    time     timestamptz not null,
    event_id text collate "C" not null,
    data     text collate "C" not null,
    primary key (agency, about, revision)
);
insert into institution (agency, about, revision, time, event_id, data)
select agency, about, revision, time, event_id, data from statement where type = 'tepat.institution.recorded.v1';
