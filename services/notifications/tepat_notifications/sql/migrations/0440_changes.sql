-- Changes of an overlap that was told: its amounts and days, as its hearers heard them last.
-- None of what is over, and of other kinds, whose changes are told where their news is another one.
alter table cause add column figures text generated always as (case when kind = 'overlap' and state <> 'over' then
    coalesce(said #>> '{payouts,0,amount}', '') || '/' || coalesce(said #>> '{payouts,1,amount}', '') || '/'
    || coalesce(said ->> 'starts', '') || '/' || coalesce(said ->> 'ends', '') end) stored;
alter table hearing add column figures text;
update hearing h set figures = c.figures from cause c where c.cause_id = h.cause_id and h.heard and h.news = c.news;

-- What a recipient heard last of a cause, by routes or, of an overlap, before there were any.
create function heard_last(cause uuid, overlap uuid, recipient text)
returns table (news text, figures text)
language sql stable
begin atomic
    select l.news, l.figures
    from (select h.news, h.figures, h.revision from hearing h
          where h.heard and (h.cause_id, h.recipient) = (heard_last.cause, heard_last.recipient)
          union all
          select case when t.live then t.verdict else 'over' end,
                 case when t.live then
                     coalesce(t.amount_a::text, '') || '/' || coalesce(t.amount_b::text, '') || '/'
                     || coalesce(to_char(t.starts, 'YYYY-MM-DD'), '') || '/'
                     || coalesce(to_char(t.ends, 'YYYY-MM-DD'), '') end,
                 t.revision
          from telling t
          where t.heard and (t.overlap_id, t.agency) = (heard_last.overlap, heard_last.recipient)) l
    order by l.revision desc limit 1;
end;
