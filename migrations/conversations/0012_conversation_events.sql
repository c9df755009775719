-- Lines in a conversation that are no messages: who opted out, who opted in again, who asked for help.
create table conversation_events (
    license_id      text        not null,
    event_id        uuid        not null,
    conversation_id uuid        not null,
    -- opted_out, opted_in, help_requested
    kind            text        not null,
    -- As in consents.
    source          text        not null,
    manager_id      text,
    manager_name    text,
    reason          text,
    occurred_at     timestamptz not null,
    primary key (license_id, event_id)
);

-- A page of a conversation, newest first.
create index conversation_events_of_conversation
    on conversation_events (license_id, conversation_id, occurred_at desc, event_id desc);

-- An entry of the kind conversation.event refers to its line.
alter table feed add column event_id uuid;
