-- Money that did not leave twice, or came back: one definition, of which the report is the whole, and the figures of cases
-- that part which the policy or somebody judged.

drop view became;

-- Payouts that ended while they stood in an overlap, with the overlap that this end cleared: `stopped`, cancelled before
-- they were paid, or `returned`. The amount is the payout's, as the ledger has it; a payout stands here as often as
-- overlaps were cleared by its end. Of one that was told as live anew since that end, what became of it is another story;
-- of one cancelled after it was paid nobody says that the money is back until it is returned.
create view saved as
select e.overlap_id, p.agency, p.payout_id, p.programme, p.region, p.starts, p.amount,
       case p.rank when 3 then 'returned' else 'stopped' end as what
from (
    select overlap_id, agency_a as agency, payout_a as payout_id, ended_a as ended from overlap where ended_a is not null
    union all
    select overlap_id, agency_b, payout_b, ended_b from overlap where ended_b is not null) e
join payout p on (p.agency, p.payout_id) = (e.agency, e.payout_id)
where (p.rank = 3 or (p.rank = 2 and (p.last_told).rank = 0)) and (p.last_told).revision <= e.ended;

-- Before, nobody kept why an overlap was cleared, and by whose end: where a payout has ended, it was the first that did.
update overlap o set
    reason = 'payout_ended',
    ended_a = case when e.side = 1 then e.revision end, ended_b = case when e.side = 2 then e.revision end
from (
    select distinct on (o.overlap_id) o.overlap_id, s.side, p.revision
    from overlap o
    cross join lateral (values (1, o.agency_a, o.payout_a), (2, o.agency_b, o.payout_b)) s (side, agency, payout_id)
    join payout p on (p.agency, p.payout_id) = (s.agency, s.payout_id) and not p.live
    left join overlap_case c on c.overlap_id = o.overlap_id
    where not o.live and coalesce(c.told ->> 'cleared', 'payout_ended') = 'payout_ended'
    order by o.overlap_id, p.appended, p.event_time, s.side) e
where e.overlap_id = o.overlap_id;
