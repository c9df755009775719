-- Where the people of a conversation are reached now, when its number is not theirs any more (rule 9). Each older
-- conversation leads to one newer one.
create table conversation_links (
    license_id text        not null,
    older_id   uuid        not null,
    newer_id   uuid        not null,
    linked_at  timestamptz not null,
    primary key (license_id, older_id)
);

-- What leads to a conversation, newest first: our ids go by time.
create index conversation_links_by_newer on conversation_links (license_id, newer_id, older_id desc);
