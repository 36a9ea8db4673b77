-- A notice takes one channel after the other, and what gateways report of it is kept.
-- `channel` stays the line that its news belongs to: of one line nothing is told twice, whatever it went over.
alter table delivery
    add column via        text collate "C",              -- the one it takes; null: not yet chosen
    add column tries      int not null default 0,        -- over that one
    add column message_id text,                          -- the gateway's, of the last try
    add column receipt    text check (receipt in ('sent', 'delivered', 'read')),  -- what was reported of the last try
    add column receipt_at timestamptz,
    add column refused    text;                          -- reported as not delivered before the try itself had ended

update delivery set via = channel where attempts > 0;

create index delivery_due on delivery (via, due_at, delivery_id) where due_at is not null;
create index delivery_due_at on delivery (due_at) where due_at is not null;
create index delivery_sending on delivery (delivery_id) where state = 'sending';

-- The state of a notice as people read it: what was sent may have been delivered and read since.
create function shown_state(state text, receipt text) returns text language sql immutable parallel safe
    return case when state = 'sent' then coalesce(receipt, 'sent') else state end;
