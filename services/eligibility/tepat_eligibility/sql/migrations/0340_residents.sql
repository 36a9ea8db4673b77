-- Deciding reads of those who live somewhere only what decisions may depend on, as it was told when their residence was
-- settled; what is not known is empty. `facts` is JSON: attributes, sex and day of death.
alter table residence
    add column aliases text not null default '',
    add column region  text collate "C" not null default '',
    add column born    text collate "C" not null default '',
    add column facts   text not null default '';
update residence r set
    aliases = array_to_string(array(select jsonb_array_elements_text(told -> 'aliases')), ','),
    region = coalesce(told ->> 'region', ''), born = coalesce(told ->> 'birth_date', ''),
    facts = jsonb_strip_nulls(jsonb_build_object(
        'attributes', told -> 'attributes', 'sex', told -> 'sex', 'deceased_on', told -> 'deceased_on'))::text
from (select person, told::jsonb as told from person) p
where p.person = r.person;
alter table residence
    alter column aliases drop default, alter column region drop default, alter column born drop default,
    alter column facts drop default;

-- All that stands of a subject as one number, the explanations of its decisions, xored, and the region they are told
-- with; no row where nothing stands. A region '?' says that decisions were kept without looking at all of them: they
-- are compared one by one when the subject is next decided.
create table stands (
    subject uuid primary key,
    fold    bigint not null,
    region  text collate "C" not null
);
insert into stands select distinct subject, 0, '?' from decision where not withdrawn;

-- A sweep decides everything again: what a household is decided by is remembered, and one programme costs as much as
-- six. A sweep that begins takes the place of the one in hand.
delete from sweep where id < (select max(id) from sweep);
update sweep set after = '00000000-0000-0000-0000-000000000000';
alter table sweep drop column programmes;
