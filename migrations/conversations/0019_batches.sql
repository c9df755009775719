-- Sends to several recipients. How far a batch is, is counted from its messages when somebody looks: the status of a
-- message stands in no index, so that its changes stay cheap for all messages.
create table batches (
    license_id       text        not null,
    batch_id         uuid        not null,
    -- Who sent it, with the name of that day.
    manager_id       text        not null,
    manager_name     text        not null,
    created_at       timestamptz not null,
    -- That were named; of these, those who were rejected; messages that came of the others.
    recipients       integer     not null,
    rejected         integer     not null,
    messages         integer     not null,
    -- Nothing of it is sent any more. Null: it goes on.
    canceled_at      timestamptz,
    canceled_by_id   text,
    canceled_by_name text,
    -- It has changed since the feed told of it, at told_at.
    changed          boolean     not null default false,
    told_at          timestamptz not null,
    primary key (license_id, batch_id)
);

-- A page of the list, newest first.
create index batches_by_time on batches (license_id, created_at desc, batch_id desc);
-- What is to be told; empty while nothing moves.
create index batches_changed on batches (told_at) where changed;

-- The messages of a batch, in the order of its recipients.
create index messages_of_batch on messages (license_id, batch_id, message_id) where batch_id is not null;

-- Batches that were sent before this table was. Who was rejected is not known any more.
insert into batches (license_id, batch_id, manager_id, manager_name, created_at, recipients, rejected, messages, told_at)
select license_id, batch_id, min(manager_id), min(manager_name), min(created_at), count(*), 0, count(*), min(created_at)
from messages
where batch_id is not null and manager_id is not null and manager_name is not null
group by license_id, batch_id;
