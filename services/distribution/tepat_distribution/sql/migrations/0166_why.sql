-- Why a payment may go or not, in one word and in the words that agencies read: for the ledger and for a list alike.

create function why(held boolean, released boolean, strength smallint, preferred boolean) returns text
language sql immutable parallel safe
return case when held then 'held' when released then 'released' when strength > 0 then 'review'
            when preferred then 'preferred' else 'exclusive' end;

create function reason(why text, rule text, agency text, payout_id text) returns text
language sql immutable parallel safe
return why || ': ' || rule || ' with ' || agency || '/' || payout_id;
