-- What each manager has read. Unread of a conversation is its inbound messages less those that the manager has read;
-- the total is the license's inbound messages less all that he has read. Both are kept as counts, so that nothing is
-- counted when a list is shown, however long the history is.
alter table licenses
    add column inbound_total bigint not null default 0;
alter table conversations
    add column inbound_count integer not null default 0;

update conversations
set inbound_count = counted.messages
from (select license_id, conversation_id, count(*) as messages from messages
      where direction = 'inbound' group by license_id, conversation_id) as counted
where conversations.license_id = counted.license_id and conversations.conversation_id = counted.conversation_id;

update licenses
set inbound_total = counted.messages
from (select license_id, sum(inbound_count) as messages from conversations group by license_id) as counted
where licenses.license_id = counted.license_id;

-- Managers who have looked. Whoever looks for the first time begins with everything read.
create table managers (
    license_id text        not null,
    manager_id text        not null,
    -- The sum of his marks.
    read_total bigint      not null,
    since      timestamptz not null,
    primary key (license_id, manager_id)
);

-- How much of a conversation a manager has read. No mark: nothing, it opened after he came.
create table read_marks (
    license_id      text    not null,
    manager_id      text    not null,
    conversation_id uuid    not null,
    -- Of the conversation's inbound messages. Never goes back.
    read_count      integer not null,
    primary key (license_id, manager_id, conversation_id)
);

-- An entry of the kind read.updated is for this manager alone. Refers to his mark of the conversation.
alter table feed add column manager_id text;
