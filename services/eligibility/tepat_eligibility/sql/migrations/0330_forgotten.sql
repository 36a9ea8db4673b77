-- How many were forgotten out of a batch, by the region they were told with: erased, or kept no longer. No NIK.
create table forgotten (
    persons bigint not null,
    batch   text collate "C" not null,
    region  text collate "C" not null,
    primary key (batch, region)
);

-- What was weighed otherwise before is weighed again: visits of days to come, visits for any programme, objections that
-- are not filed yet.
insert into mark (g)
select nik from verification where programme is null or verified_on > current_date
union
select nik from objection where filed_on > current_date;
