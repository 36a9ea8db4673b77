-- What is due to the eligible for a period, as JSON; none where the policy names no amount.
alter table decision add column due text;
