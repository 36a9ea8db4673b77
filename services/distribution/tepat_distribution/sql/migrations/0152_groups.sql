-- Joint business groups (KUBE) and who is in them; the receipts of business capital.

create table kube (
    kube      text collate "C" primary key,
    title     text not null,
    agency    text collate "C" not null,         -- that formed it
    region    text collate "C" not null,
    formed_on date not null,
    at        timestamptz not null,
    who       text not null
);
create index kube_region on kube (region);

create table kube_member (
    kube  text collate "C" not null references kube,
    nik   uuid not null,                         -- the pseudonym they joined under
    since date not null,
    until date,                                  -- the last day; none: active
    who   text not null,
    primary key (kube, nik, since),
    check (until >= since)
);
create unique index kube_member_active on kube_member (nik) where until is null;
create index kube_member_of on kube_member (nik);

create table capital_receipt (
    agency      text collate "C" not null,
    payout_id   text collate "C" not null,
    receipt     bytea not null,                  -- SHA-256
    received_on date not null,
    at          timestamptz not null,
    who         text not null,
    primary key (agency, payout_id)
);
-- The few payouts of business capital, found without a look through the ledger; 4 is its place in ``domain.KINDS``.
create index payout_capital on payout (agency, payout_id) where kind = 4;

-- Groups with how many are in them.
create view kube_now as
select k.*, (select count(*) from kube_member m where m.kube = k.kube and m.until is null) as members from kube k;

-- Payouts of business capital, each with its receipt and the group that its person is in.
create view capital as
select a.code as agency, p.payout_id, p.rank, pr.code as programme, p.starts, p.ends, p.amount, p.person, p.household,
       p.region, r.receipt, r.received_on, r.who,
       (select min(m.kube) from kube_member m where m.nik in (p.nik, p.person) and m.until is null) as kube
from payout p
join agency a on a.id = p.agency
join programme pr on pr.id = p.programme
left join capital_receipt r on (r.agency, r.payout_id) = (a.code, p.payout_id)
where p.kind = 4;
