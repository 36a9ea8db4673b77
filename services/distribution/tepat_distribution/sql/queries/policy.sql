-- The policy in force, as the ledger's rules need it. Every statement relies on the exclusive lock.

-- name: secret_in_use$
-- The secret under which pseudonyms are made: that of the first policy taken; none before it.
select document -> 'policy' ->> 'secret_id' from standing order by seq limit 1;

-- name: rank_agencies
-- Give each agency its rank of trust, those the policy does not name the last; give back the changed.
update agency a set trust_rank = coalesce(n.trust_rank, 2147483648)
from agency b left join unnest(:codes::text[], :ranks::int[]) n (code, trust_rank) on n.code = b.code
where a.id = b.id and a.trust_rank <> coalesce(n.trust_rank, 2147483648)
returning a.id;

-- name: learn_programmes!
-- Number the programmes that have none yet, as ``learn_agencies`` does; where decisions are taken nobody else is kept
-- from it.
insert into programme (code)
select distinct n.code from unnest(:codes::text[]) n (code)
where not exists (select from programme p where p.code = n.code)
order by 1
on conflict do nothing;

-- name: set_repeatable!
update programme set repeatable = coalesce(code = any(:codes::text[]), false)
where repeatable is distinct from (code = any(:codes::text[]));

-- name: programmes
select id, code, repeatable from programme;

-- name: rules
select a, b, id, person, strength, starts, ends, prefer from rule;

-- name: forget_rules!
delete from rule;

-- name: set_rules!
insert into rule (a, b, id, person, strength, starts, ends, prefer)
select * from unnest(:a::smallint[], :b::smallint[], :ids::text[], :persons::boolean[], :strengths::smallint[],
                     :starts::date[], :ends::date[], :preferred::smallint[]);

-- name: rejudge_all!
-- Begin to judge every payout again, or begin anew.
with begun as (delete from rejudging)
insert into rejudging (agency, payout_id) values (0, '');

-- name: disputed_persons
-- Persons of whom more than one agency says where they live: only they move when ranks of trust change.
select nik from membership group by nik having count(distinct agency) > 1;
