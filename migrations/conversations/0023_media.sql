-- What came with inbound messages beside their texts. A worker fetches each medium from its carrier and keeps its bytes in
-- the object store, under <license_id>/<media_id>.
create table media (
    license_id      text        not null,
    media_id        uuid        not null,
    message_id      uuid        not null,
    conversation_id uuid        not null,
    -- 0, 1, 2, … within its message.
    position        integer     not null,
    -- Who has it.
    carrier         text        not null,
    -- Where. Null once it is stored or has failed: whoever knows the address can often read the medium.
    source_url      text,
    -- As the webhook said, '' when it did not; once it is stored, as it came.
    content_type    text        not null,
    -- Once it is stored.
    size_bytes      bigint,
    -- pending, stored, failed
    state           text        not null,
    tries           integer     not null,
    -- While it is pending.
    next_try_at     timestamptz,
    -- Somebody may be storing its bytes until then. Null: nobody is.
    leased_until    timestamptz,
    primary key (license_id, media_id)
);

create unique index media_of_message on media (license_id, message_id, position);
create index media_of_conversation on media (license_id, conversation_id);
create index media_due on media (next_try_at) where state = 'pending';

-- Objects of deleted conversations, which are still to be removed (rule 11).
create table media_erasures (
    object_key text        not null primary key,
    -- Somebody may be storing it until then. -infinity: nobody is.
    not_before timestamptz not null
);

create index media_erasures_due on media_erasures (not_before);

-- What came before this was kept.
insert into media (license_id, media_id, message_id, conversation_id, position, carrier, source_url, content_type, state,
                   tries, next_try_at)
select license_id, gen_random_uuid(), message_id, conversation_id, listed.at - 1,
       coalesce(carrier, case when listed.url like 'https://api.twilio.com/%' then 'twilio' else 'telnyx' end),
       listed.url, listed.type, 'pending', 0, created_at
from messages, unnest(media_urls, media_types) with ordinality as listed (url, type, at)
where direction = 'inbound' and media_urls <> '{}';

-- An inbound message only says how many media it has: their addresses stand in one place.
update messages set media_urls = array_fill(''::text, array[cardinality(media_urls)])
where direction = 'inbound' and media_urls <> '{}';
