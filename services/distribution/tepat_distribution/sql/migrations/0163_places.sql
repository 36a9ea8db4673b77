-- Why a package was given elsewhere than the list says, where it was.
alter table delivery add column elsewhere text;
