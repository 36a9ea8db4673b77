-- A notice is acknowledged by a reply, too.
alter table awaited drop constraint awaited_how_check;
alter table awaited add constraint awaited_how_check
    check (how in ('link', 'reply', 'person', 'event', 'ended', 'unanswered'));

-- What recipients wrote back, each message once.
create table reply (
    reply_id   bigint generated always as identity primary key,
    channel    text collate "C" not null,
    message_id text collate "C" not null,      -- the gateway's
    sender     text collate "C" not null,      -- the number or chat it came from, as the gateway vouches
    came_at    timestamptz not null,
    outcome    text not null check (outcome in ('acknowledged', 'nothing_awaited', 'not_understood')),
    codes      text[] not null,                -- of the cases it names, as far as that address was told of them
    text       text,                           -- of one that was not understood; long numbers are left out
    answered   boolean not null,
    unique (channel, message_id)
);
create index reply_sender on reply (channel, sender, came_at) where answered and outcome = 'not_understood';
