-- One row for each message that is to leave, from its arrival here until two weeks after its end.
create table deliveries (
    license_id text        not null,
    message_id uuid        not null,
    -- Order of arrival, inside a lane and its priority.
    position   bigint      generated always as identity,
    -- 0 reply, 1 batch: replies go first (rule 18).
    priority   smallint    not null,
    -- E.164.
    to_number  text        not null,
    -- Null once the carrier has it or it has failed: no text is kept for longer than it is needed.
    body       text,
    media_urls text[]      not null,
    -- What it costs of the pace.
    segments   integer     not null,
    -- waiting → attempting → accepted | failed | unknown | waiting again.
    -- Only `waiting` is ever sent; `unknown` is not sent again by itself (rule 16).
    state      text        not null,
    -- Attempts begun.
    tries      integer     not null default 0,
    queued_at  timestamptz not null,
    settled_at timestamptz,
    constraint deliveries_pkey primary key (license_id, message_id),
    -- A receipt names the message only, not its license.
    constraint deliveries_message_unique unique (message_id),
    constraint deliveries_priority_known check (priority in (0, 1)),
    constraint deliveries_state_known check (state in ('waiting', 'attempting', 'unknown', 'accepted', 'failed')),
    constraint deliveries_settled check ((settled_at is not null) = (state in ('accepted', 'failed'))),
    constraint deliveries_text_until_settled check ((body is null) = (state in ('accepted', 'failed'))),
    constraint deliveries_segments_positive check (segments > 0)
);

-- What goes next in a lane.
create index deliveries_waiting on deliveries (license_id, priority, position) where state = 'waiting';
-- What has waited too long, over all lanes: the sweep must not look at each lane.
create index deliveries_waiting_by_age on deliveries (queued_at) where state = 'waiting';
-- What is over long enough to be removed, over all lanes, for the same reason.
create index deliveries_settled on deliveries (settled_at) where settled_at is not null;

-- Every row changes twice within seconds of its arrival.
alter table deliveries set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
