-- All messages between a license and one phone number, while that number stays with the same people (rules 7, 9).
create table conversations (
    license_id       text        not null,
    conversation_id  uuid        not null,
    number           text        not null,
    opened_at        timestamptz not null,
    -- Set when somebody else got the number and a new conversation took over. Never unset.
    closed_at        timestamptz,
    last_message_id  uuid,
    -- Of the last message; before the first one, of the opening. The order of the list.
    last_activity_at timestamptz not null,
    primary key (license_id, conversation_id)
);

-- At most one open conversation for a license and a number (rule 7).
create unique index conversations_one_open on conversations (license_id, number) where closed_at is null;
create index conversations_by_activity on conversations (license_id, last_activity_at desc, conversation_id desc);
-- Every conversation that a number ever had: their `sendable` changes with the number's ties.
create index conversations_by_number on conversations (license_id, number);

-- Who the people of a conversation are. Names are kept here too: a deleted person's conversation stays readable.
create table conversation_people (
    license_id      text not null,
    conversation_id uuid not null,
    person_id       text not null,
    kind            text not null,
    name            text not null,
    primary key (license_id, conversation_id, person_id)
);

create index conversation_people_by_person on conversation_people (license_id, person_id);
