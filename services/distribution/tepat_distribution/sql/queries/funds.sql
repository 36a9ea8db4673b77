-- Funds of the community and support to institutions. Who posts holds the rows of the accounts until the transaction
-- ends, in the order of their numbers; balances are kept by a trigger on what is posted.

-- name: open_fund$
-- Open a fund with its accounts; its name, none where one of that name, or of that institution and purpose, is open.
with opened as (
    insert into fund (fund, agency, institution, purpose, region, opened_at, who)
    values (:fund, :agency, :institution, :purpose, :region, :at, :who)
    on conflict do nothing returning fund
), accounts as (
    insert into account (book, kind, holder) select 'fund', kind, fund
    from opened, unnest(array['fund', 'contributed', 'spent']) with ordinality k (kind, n) order by n)
select fund from opened;

-- name: funds
-- Funds with what they hold, by name.
select * from fund_now
where (:after::text is null or fund > :after)
  and (:purpose::text is null or purpose = :purpose)
  and (:agency::text is null or agency = :agency)
  and (:region::text is null or region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
order by fund limit :at_most;

-- name: fund^
select * from fund_now where fund = :fund;

-- name: hold_fund$
-- What a fund holds: whoever else would post to it waits until this transaction ends.
select balance from account where (book, kind, holder) = ('fund', 'fund', :fund) for update;

-- name: have_accounts!
-- Open the two accounts between which support goes, where they are not.
insert into account (book, kind, holder)
values ('support', 'granted', :agency), ('support', 'institution_support', :institution)
on conflict do nothing;

-- name: enter$
-- Enter what goes from one account to another; its id, none where an entry has that id already, or one of the book that
-- receipt.
with made as (
    insert into entry (entry_id, book, kind, amount, on_day, at, who, agency, institution, region, purpose, household,
                       receipt, note, fund, digest)
    values (:entry_id, :book, :kind, :amount, :on_day, :at, :who, :agency, :institution, :region, :purpose,
            :household, :receipt, :note, :fund, :digest)
    on conflict do nothing
    returning entry_id, book, amount
), posted as (
    insert into posting (entry_id, book, account, amount)
    select m.entry_id, m.book, a.id, case when a.kind = :source then -m.amount else m.amount end
    from made m
    join account a on a.book = m.book
                  and (a.kind, a.holder) in ((:source, :source_holder), (:target, :target_holder))
    order by a.id)
select entry_id from made;

-- name: entered^
-- The entry of an id.
select * from entry where entry_id = :entry_id;

-- name: shown_by^
-- The entry of a book that a receipt shows.
select * from entry where book = :book and receipt = :receipt and not receipt_again;

-- name: entries
-- A fund's entries, the last first.
select * from entry where fund = :fund and (:before::bigint is null or n < :before) order by n desc limit :at_most;

-- name: supports
-- What institutions were given to operate on, the last first.
select * from entry
where book = 'support' and (:before::bigint is null or n < :before)
  and (:agency::text is null or agency = :agency)
  and (:institution::text is null or institution = :institution)
  and (:region::text is null or region ^@ :region)
  and (cardinality(:regions::text[]) = 0 or region ^@ any(:regions::text[]))
order by n desc limit :at_most;

-- name: spent_on
-- What funds spent on households.
select * from entry where household = any(:households::uuid[]) order by n;

-- name: hand_over$
-- Record what a fund could not carry; its id, none where one has that id already.
insert into hand_over (hand_over_id, fund, amount, held, at, who, reason, report, to_agency, event_id, digest)
values (:hand_over_id, :fund, :amount, :held, :at, :who, :reason, :report, :to_agency, :event_id, :digest)
on conflict (hand_over_id) do nothing returning hand_over_id;

-- name: handed_over^
select * from hand_over where hand_over_id = :hand_over_id;

-- name: hand_overs
-- What a fund could not carry, the last first.
select * from hand_over where fund = :fund and (:before::bigint is null or n < :before) order by n desc limit :at_most;

-- name: take_reports!
-- Keep which reports were filed.
insert into filed as f (key, agency, report_id)
select * from unnest(:keys::text[], :agencies::text[], :report_ids::text[])
on conflict (key) do update set agency = excluded.agency, report_id = excluded.report_id
where (f.agency, f.report_id) <> (excluded.agency, excluded.report_id);

-- name: forget_reports!
delete from filed where key = any(:keys::text[]);

-- name: is_filed$
select exists (select from filed where (agency, report_id) = (:agency, :report_id));
