-- One receipt shows one entry of a book. Entries made before this was held, with a receipt that an earlier one has, stay.
alter table entry add column receipt_again boolean not null default false;
update entry e set receipt_again = true
where exists (select from entry earlier where (earlier.book, earlier.receipt) = (e.book, e.receipt) and earlier.n < e.n);
create unique index entry_receipt on entry (book, receipt) where receipt is not null and not receipt_again;
