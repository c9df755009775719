-- The feed position of each conversation's newest message: a send says which position the manager has seen, and one look
-- at the conversation tells whether it has moved on. 0: no message, or none whose entry is still kept.
alter table conversations add column last_message_seq bigint not null default 0;

update conversations
set last_message_seq = newest.seq
from (select license_id, conversation_id, max(seq) as seq from feed
      where kind = 'message.created' group by license_id, conversation_id) as newest
where conversations.license_id = newest.license_id and conversations.conversation_id = newest.conversation_id;

-- What a manager has not seen of a conversation.
create index feed_messages_of_conversation on feed (license_id, conversation_id, seq) where kind = 'message.created';
