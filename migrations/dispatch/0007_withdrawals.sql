-- What is not to be sent any more: of canceled batches, and of deleted conversations (rule 11).
create table withdrawals (
    license_id   text        not null,
    -- A batch or a conversation: their ids never coincide.
    of           uuid        not null,
    -- A conversation: its texts are erased, and nothing is said of its messages. Else a batch: each message that is stopped
    -- is reported.
    erased       boolean     not null,
    -- When it came here. A message that comes later is not queued; none comes more than a month later.
    withdrawn_at timestamptz not null,
    constraint withdrawals_pkey primary key (license_id, of)
);

-- What is old enough to be removed, over all licenses.
create index withdrawals_by_age on withdrawals (withdrawn_at);

-- Null: queued before these were kept. The batch is null too where there is none.
alter table deliveries add conversation_id uuid, add batch_id uuid;

-- A new state: `canceled`, never sent and never to be. What is under way when its conversation is deleted loses its text at
-- once. Not validated: what is there has satisfied the narrower checks, and reading all of it would hold up the sending.
alter table deliveries drop constraint deliveries_state_known;
alter table deliveries add constraint deliveries_state_known
    check (state in ('waiting', 'attempting', 'unknown', 'accepted', 'failed', 'canceled')) not valid;
alter table deliveries drop constraint deliveries_settled;
alter table deliveries add constraint deliveries_settled
    check ((settled_at is not null) = (state in ('accepted', 'failed', 'canceled'))) not valid;
alter table deliveries drop constraint deliveries_text_until_settled;
alter table deliveries add constraint deliveries_text_until_settled
    check (case when state = 'waiting' then body is not null else settled_at is null or body is null end) not valid;

-- What a withdrawal finds. Of a batch only what waits is stopped.
create index deliveries_of_conversation on deliveries (license_id, conversation_id)
    where state in ('waiting', 'attempting', 'unknown');
create index deliveries_of_batch on deliveries (license_id, batch_id)
    where state = 'waiting' and batch_id is not null;
