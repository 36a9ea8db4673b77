-- The household's score where the programme asks for it, as JSON: its formula, inputs and what each contributes.
alter table decision add column score text;
