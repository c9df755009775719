-- What clients of a license see, in order and without a gap (rule 15). An entry refers; its content is read from
-- the row it refers to, so that a deleted conversation leaves nothing here.
create table feed (
    license_id      text        not null,
    -- 1, 2, 3, … per license, in the order of the commits.
    seq             bigint      not null,
    -- message.created, message.updated, conversation.updated, person.updated, number.changed
    kind            text        not null,
    conversation_id uuid,
    message_id      uuid,
    person_id       text,
    occurred_at     timestamptz not null,
    primary key (license_id, seq)
);

-- For the sweep: entries are kept 7 days and come in order of time.
create index feed_by_age on feed using brin (occurred_at);
