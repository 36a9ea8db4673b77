-- Persons of whom the registry tells nothing any more, until the duty has forgotten what was decided of them.
create table erased (
    person uuid primary key
);
