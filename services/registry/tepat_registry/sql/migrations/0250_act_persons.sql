-- Whom the acts of before concerned, as far as it is known.
update act set detail = detail - 'persons', persons = array(select jsonb_array_elements_text(detail -> 'persons')::uuid)
where act = 'disclose' and detail ? 'persons';
update act set persons = array(select jsonb_array_elements_text(suspect.persons)::uuid)
from suspect where target = pair;
update act set persons = told.persons
from (select 'report ' || agency || '/' || report as report, array_agg(person) as persons
      from named group by agency, report) told
where target = told.report;
