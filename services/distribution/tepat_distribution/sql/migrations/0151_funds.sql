-- Money that is no agency's payout: funds of the community, and operating support to institutions. Double entry: money
-- goes from one account to another, and every entry sums to nothing. The two books are kept apart by their keys.

create table account (
    id      bigint generated always as identity primary key,
    book    text not null check (book in ('fund', 'support')),
    kind    text not null,
    holder  text collate "C" not null,           -- a fund by its name; agency/institution; the agency that gives
    balance bigint not null default 0,           -- rupiah, the sum of its postings
    unique (book, kind, holder),
    unique (id, book),
    check (case book when 'fund' then kind in ('fund', 'contributed', 'spent')
                     else kind in ('institution_support', 'granted') end),
    -- What money comes from is owed what was given; all else holds something or nothing.
    constraint never_negative check (case when kind in ('contributed', 'granted') then balance <= 0
                                          else balance >= 0 end)
);

create table fund (
    fund        text collate "C" primary key,
    agency      text collate "C" not null,       -- in whose name its institution is registered
    institution text collate "C" not null,
    purpose     text collate "C" not null,
    region      text collate "C" not null,
    opened_at   timestamptz not null,
    who         text not null,
    unique (agency, institution, purpose)
);

create table entry (
    n           bigint generated always as identity unique,
    entry_id    text collate "C" primary key,    -- whoever enters it names it: the same again changes nothing
    book        text not null,
    kind        text not null check (kind in ('contribution', 'spending', 'support')),
    amount      bigint not null check (amount > 0),
    on_day      date not null,
    at          timestamptz not null,
    who         text not null,
    agency      text collate "C" not null,
    institution text collate "C" not null,
    region      text collate "C" not null,
    purpose     text collate "C" not null,
    household   uuid,                            -- for whom it was spent, a pseudonym
    receipt     bytea,                           -- SHA-256
    note        text,
    fund        text collate "C" references fund,
    digest      bytea not null,                  -- of what was entered, to tell a repeat from another entry
    unique (entry_id, book),
    check ((book = 'fund') = (fund is not null) and (kind = 'support') = (book = 'support')),
    check (kind = 'contribution' or receipt is not null)
);
create index entry_of_fund on entry (fund, n) where fund is not null;
create index entry_support on entry (n) where book = 'support';
create index entry_household on entry (household) where household is not null;

create table posting (
    entry_id text collate "C" not null,
    book     text not null,
    account  bigint not null,
    amount   bigint not null check (amount <> 0),
    primary key (entry_id, account),
    foreign key (entry_id, book) references entry (entry_id, book),
    foreign key (account, book) references account (id, book)
);

create function posted() returns trigger language plpgsql as $$
begin
    update account set balance = balance + new.amount where id = new.account;
    return null;
end $$;
create trigger posted after insert on posting for each row execute function posted();

create function unchangeable() returns trigger language plpgsql as $$
begin
    raise exception 'what was posted stays: make another entry' using errcode = 'check_violation';
end $$;
create trigger unchangeable before update or delete on posting for each row execute function unchangeable();

create function sums_to_nothing() returns trigger language plpgsql as $$
begin
    if (select count(*) < 2 or sum(amount) <> 0 from posting where entry_id = new.entry_id) then
        raise exception 'the postings of an entry sum to nothing' using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger entry_sums_to_nothing after insert on entry
    deferrable initially deferred for each row execute function sums_to_nothing();
create constraint trigger posting_sums_to_nothing after insert on posting
    deferrable initially deferred for each row execute function sums_to_nothing();

-- What a fund could not carry and the government is asked to.
create table hand_over (
    n            bigint generated always as identity unique,
    hand_over_id text collate "C" primary key,
    fund         text collate "C" not null references fund,
    amount       bigint not null check (amount > 0),
    held         bigint not null,                -- by the fund at that moment: less
    at           timestamptz not null,
    who          text not null,
    reason       text not null,
    report       text collate "C",               -- agency/report_id
    to_agency    text collate "C",
    event_id     text collate "C",               -- of the answer to the report
    digest       bytea not null,
    check (held < amount)
);
create index hand_over_of_fund on hand_over (fund, n);

-- Funds with what they hold.
create view fund_now as
select f.*, h.balance as holds, -c.balance as contributed, s.balance as spent,
       (select count(*) from hand_over o where o.fund = f.fund) as handed_over
from fund f
join account h on (h.book, h.kind, h.holder) = ('fund', 'fund', f.fund)
join account c on (c.book, c.kind, c.holder) = ('fund', 'contributed', f.fund)
join account s on (s.book, s.kind, s.holder) = ('fund', 'spent', f.fund);
