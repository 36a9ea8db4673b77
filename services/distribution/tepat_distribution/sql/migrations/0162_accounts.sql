-- Whether an account ever acted here.
create index act_who on act (who);
