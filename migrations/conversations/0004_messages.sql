-- Every SMS or MMS, in exactly one conversation.
create table messages (
    license_id          text        not null,
    message_id          uuid        not null,
    conversation_id     uuid        not null,
    -- inbound, outbound
    direction           text        not null,
    body                text        not null,
    media_urls          text[]      not null,
    -- Beside media_urls; '' when unknown.
    media_types         text[]      not null,
    -- Null until an outbound message has gone out from a number.
    from_number         text,
    to_number           text        not null,
    -- Who sent it, with the name of that day. Null for inbound messages.
    manager_id          text,
    manager_name        text,
    batch_id            uuid,
    status              text        not null,
    error_code          text,
    error_detail        text,
    segments            integer     not null,
    carrier_message_id  text,
    created_at          timestamptz not null,
    sent_at             timestamptz,
    delivered_at        timestamptz,
    primary key (license_id, message_id)
);

-- A page of a conversation, newest first.
create index messages_of_conversation on messages (license_id, conversation_id, created_at desc, message_id desc);

-- Receipts and outcomes name the message only: carriers hand back the id that stands in the callback's address.
-- The one key that does not start with the license; a sharded installation looks the shard up first.
create index messages_by_id on messages (message_id);

-- A webhook that the carrier repeats makes one message, however late it comes.
create unique index messages_inbound_once on messages (license_id, carrier_message_id) where direction = 'inbound';
