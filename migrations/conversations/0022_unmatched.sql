-- Managers see what unknown senders wrote, tie a sender to a person, or block a number (rule 8).
-- The id of a message that is kept apart; its id as a message once its sender is tied to a person. Replicas of the version
-- before write none.
alter table unmatched_messages add column unmatched_id uuid not null default gen_random_uuid();

create unique index unmatched_messages_by_id on unmatched_messages (license_id, unmatched_id) where license_id is not null;
-- A page of the list, newest first.
create index unmatched_messages_by_time on unmatched_messages (license_id, received_at desc, unmatched_id desc)
    where license_id is not null;
-- Everything of one sender.
create index unmatched_messages_by_sender on unmatched_messages (license_id, from_number) where license_id is not null;

-- Numbers of which nothing is kept. None of them is tied to a person: a tie removes the block.
create table blocked_numbers (
    license_id   text        not null,
    blocked_id   uuid        not null,
    number       text        not null,
    -- Who blocked it, with the name of that day.
    manager_id   text        not null,
    manager_name text        not null,
    -- The message that named the number. It is gone; a repeated call names it again.
    unmatched_id uuid,
    blocked_at   timestamptz not null,
    primary key (license_id, blocked_id)
);

create unique index blocked_numbers_once on blocked_numbers (license_id, number);
create unique index blocked_numbers_by_message on blocked_numbers (license_id, unmatched_id) where unmatched_id is not null;
-- A page of the list, newest first.
create index blocked_numbers_by_time on blocked_numbers (license_id, blocked_at desc, blocked_id desc);
