-- Sends that wait for their time. When it has come they are decided anew, like a send of that moment.
create table scheduled_sends (
    license_id      text        not null,
    scheduled_id    uuid        not null,
    -- Who scheduled it, with the name of that day.
    manager_id      text        not null,
    manager_name    text        not null,
    -- With its merge fields unfilled. Both are emptied when it ends: what was sent is in its messages.
    body            text        not null,
    media_urls      text[]      not null,
    send_at         timestamptz not null,
    created_at      timestamptz not null,
    -- waiting, sent, canceled
    status          text        not null,
    ended_at        timestamptz,
    -- What became of it: a batch, or one message.
    batch_id        uuid,
    message_id      uuid,
    -- Rows of scheduled_recipients, and those with a code.
    recipient_count integer     not null,
    rejected_count  integer     not null,
    primary key (license_id, scheduled_id)
);

-- What is due, of all licenses. Empty of what has ended.
create index scheduled_sends_due on scheduled_sends (send_at, license_id, scheduled_id) where status = 'waiting';
-- The two lists of a license.
create index scheduled_sends_waiting on scheduled_sends (license_id, send_at, scheduled_id) where status = 'waiting';
create index scheduled_sends_ended on scheduled_sends (license_id, ended_at desc, scheduled_id desc)
    where status <> 'waiting';
-- For the sweep: ended ones are kept 30 days.
create index scheduled_sends_by_age on scheduled_sends (ended_at) where ended_at is not null;

-- Who is to get it, in the order in which they were named: a person or a conversation each.
create table scheduled_recipients (
    license_id      text    not null,
    scheduled_id    uuid    not null,
    position        integer not null,
    person_id       text,
    conversation_id uuid,
    -- The number it led to when it was scheduled: a deletion finds its recipients by it (rule 11).
    number          text    not null,
    -- Why it got nothing in the end.
    code            text,
    detail          text,
    primary key (license_id, scheduled_id, position)
);

create index scheduled_recipients_of_conversation on scheduled_recipients (license_id, conversation_id)
    where conversation_id is not null;
create index scheduled_recipients_of_number on scheduled_recipients (license_id, number) where person_id is not null;

-- The answer to a send that was kept for later refers to it.
alter table idempotency add column scheduled_id uuid;
