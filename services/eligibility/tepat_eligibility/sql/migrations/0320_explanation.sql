-- What decisions are explained by: few different ones, kept once, known by what they say. A decision told again is then
-- compared by a number, whatever it says.
create table explanation (
    id      bigint primary key,                  -- 64 bits of a SHA-256: `domain.Decision.id`
    reasons text not null,                       -- JSON, as the two below
    due     text,                                -- what is due to the eligible; none where the policy names no amount
    score   text                                 -- the household's, where the programme asks for it
);

-- `withdrawn` says that nothing is decided of the subject any longer, and that this was told.
alter table decision add column explanation bigint, add column withdrawn boolean not null default false;
update decision set
    explanation = ('x' || substr(encode(sha256(convert_to(concat_ws(
        E'\x1f', unit, programme, decision, reasons, coalesce(due, ''), coalesce(score, '')), 'UTF8')), 'hex'), 1, 16)
        )::bit(64)::bigint,
    withdrawn = reasons in (
        '[{"criterion":"effective","outcome":false}]', '[{"criterion":"members","outcome":false}]',
        '[{"criterion":"stands_for","outcome":false}]');
insert into explanation
select distinct on (explanation) explanation, reasons, due, score from decision;
alter table decision
    alter column explanation set not null, drop column reasons, drop column due, drop column score;
