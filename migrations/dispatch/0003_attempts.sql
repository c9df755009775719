-- Every call to a carrier, written before it is made: what a crash left behind can be seen here (rule 16).
create table attempts (
    license_id         text        not null,
    message_id         uuid        not null,
    -- 1 for the first.
    try                integer     not null,
    -- E.164, as it was then.
    from_number        text        not null,
    carrier            text        not null,
    started_at         timestamptz not null,
    -- Null: the call is under way, or its process has died.
    ended_at           timestamptz,
    outcome            text,
    carrier_message_id text,
    -- Ours, when it failed.
    code               text,
    constraint attempts_pkey primary key (license_id, message_id, try),
    constraint attempts_outcome_known check (outcome in ('accepted', 'rejected', 'refused', 'throttled', 'unreachable', 'unknown')),
    constraint attempts_ended_has_outcome check ((ended_at is null) = (outcome is null))
);

-- What a crash may have left behind, over all lanes. Holds no more rows than there are calls under way.
create index attempts_open on attempts (started_at) where ended_at is null;

alter table attempts set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
