-- A lane is the queue in front of one license's messages number. It holds the pace and the pauses,
-- and its row lock is what keeps two replicas from working on the same lane at the same moment.
create table lanes (
    license_id     text        not null constraint lanes_pkey primary key,
    -- E.164. Null: the license has no number yet, its messages wait.
    number         text,
    carrier        text,
    -- Of the assignment that set the number; only a higher one replaces it.
    number_version bigint      not null default 0,
    -- GCRA's theoretical arrival time: when the next segment may go. Null: nothing has gone out from this number.
    tat            timestamptz,
    -- A carrier that is throttled or away; says why messages wait, and until when.
    paused_until   timestamptz,
    pause_reason   text,
    -- Pauses in a row, for their growth. 0: the carrier's last answer was a good one.
    setbacks       integer     not null default 0,
    -- When there is something to do. Null: nothing. Never before `paused_until`: it is the only gate.
    due_at         timestamptz,
    constraint lanes_number_has_carrier check ((number is null) = (carrier is null)),
    constraint lanes_due_has_number check (due_at is null or number is not null),
    constraint lanes_pause_has_reason check ((paused_until is null) = (pause_reason is null)),
    constraint lanes_pause_reason_known check (pause_reason in ('throttled', 'unreachable'))
);

-- Turns go to the lane that is due longest, whoever's it is: the one key here that does not start with the license.
create index lanes_due on lanes (due_at) where due_at is not null;

-- Rows change with every turn; dead ones must not pile up under the index.
alter table lanes set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
