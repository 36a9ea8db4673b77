-- The last standing document, where it names a secret that the instance which read it lacks: at most one. The one before
-- stays in force until an instance has the secret, or another document comes.
create table put_off (
    seq      bigint generated always as identity primary key,
    document jsonb not null,
    since    timestamptz not null default now()
);
