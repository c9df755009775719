-- What remains of a deleted conversation (rule 11): who, when, how many. No content, and no number.
create table deletions (
    license_id      text        not null,
    conversation_id uuid        not null,
    -- Who deleted it, with the name of that day.
    manager_id      text        not null,
    manager_name    text        not null,
    -- Messages that were erased.
    messages        integer     not null,
    deleted_at      timestamptz not null,
    primary key (license_id, conversation_id)
);

-- Deleted conversations whose texts may still stand in a dead letter that came in: such a letter names no conversation,
-- only numbers. A row goes minutes after the deletion, when the dead letters have been looked through.
create table erasures_pending (
    license_id      text        not null,
    conversation_id uuid        not null,
    -- Of the conversation.
    number          text        not null,
    -- Messages numbers that the license had in the conversation.
    our_numbers     text[]      not null,
    deleted_at      timestamptz not null,
    primary key (license_id, conversation_id)
);

create index erasures_pending_by_number on erasures_pending (number);

-- A deletion takes the conversation off its calls.
create index calls_of_conversation on calls (license_id, conversation_id) where conversation_id is not null;
