-- The outbox: events that were decided in a transaction and are not yet published.
-- A row is written in the transaction whose effect it announces, and removed by the relay
-- in the transaction that saw the stream's acknowledgement.
create table outbox (
    position    bigint generated always as identity primary key,
    -- Becomes Nats-Msg-Id: repeats are known by it.
    event_id    uuid        not null,
    -- Without the namespace of the installation.
    subject     text        not null,
    payload     bytea       not null,
    -- W3C trace context of the change, so that a trace crosses the stream.
    traceparent text,
    occurred_at timestamptz not null
);

-- Rows live for milliseconds; dead ones must not pile up under the index.
alter table outbox set (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
