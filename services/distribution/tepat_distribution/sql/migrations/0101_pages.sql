-- Of a crowd so many payouts as one step may judge: such marks are taken one at a time, in turn with the others.
alter table mark add column page boolean not null default false;
