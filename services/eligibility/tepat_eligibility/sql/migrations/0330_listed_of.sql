-- The lists on which somebody stands.
create index listed_of on listed (nik);
