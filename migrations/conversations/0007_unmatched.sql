-- Inbound messages that belong to no conversation: sent to a number that is nobody's, or by somebody whose
-- number is tied to no person (rule 8). Kept apart for 30 days, counted, never shown in a conversation.
create table unmatched_messages (
    carrier            text        not null,
    carrier_message_id text        not null,
    -- Null: the number is no license's.
    license_id         text,
    from_number        text        not null,
    to_number          text        not null,
    body               text        not null,
    media_urls         text[]      not null,
    media_types        text[]      not null,
    received_at        timestamptz not null,
    primary key (carrier, carrier_message_id)
);

create index unmatched_messages_by_age on unmatched_messages using brin (received_at);
