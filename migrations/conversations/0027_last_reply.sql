-- The newest message to this one person, for the order on their phone: the next one names it, and goes after it.
alter table conversations
    add last_reply_id uuid,
    add last_reply_at timestamptz;
