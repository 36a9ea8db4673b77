-- Where whom eligibility decided of lives, for the report: told anew from the beginning of the topic.
alter table decision add column region text collate "C";
update decision set revision = revision - 1;
delete from position where topic = 'eligibility.decisions.v1';
