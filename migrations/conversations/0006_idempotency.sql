-- Answers of accepted sends, so that a repeated request sends nothing new (rule 17). Refers to messages and
-- holds no text; the answer is put together again from what it refers to.
create table idempotency (
    license_id   text        not null,
    manager_id   text        not null,
    key          text        not null,
    -- SHA-256 of the request: the same key with another request is a mistake of the caller.
    request_hash bytea       not null,
    batch_id     uuid,
    message_ids  uuid[]      not null,
    -- [{"recipient": …, "code": …, "detail": …}]
    rejected     jsonb       not null,
    created_at   timestamptz not null,
    primary key (license_id, manager_id, key)
);

create index idempotency_by_age on idempotency using brin (created_at);
