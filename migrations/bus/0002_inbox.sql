-- The inbox: which events a consumer has applied. Written in the transaction of the effect,
-- so that an event that comes again has no second effect.
create table inbox (
    consumer    text        not null,
    event_id    text        not null,
    consumed_at timestamptz not null,
    primary key (consumer, event_id)
);

-- For the sweep of old entries; they come in order of time.
create index inbox_by_age on inbox using brin (consumed_at);
