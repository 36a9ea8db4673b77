-- What was done to, or seen of, one person.
create index act_target on act (target);
