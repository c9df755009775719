-- What a license needs so that its number can be changed: where the next one is bought, when it was last changed, and
-- why the last try came to nothing.
alter table licenses
    -- Where the next number is bought. The present number stays with its own carrier.
    add column carrier         text   not null default 'twilio',
    -- Grows with every change of company or number; readers of events and routes keep the highest.
    add column version         bigint not null default 1,
    -- The last replacement (rule 4); null: never. The first assignment does not count.
    add column last_changed_at timestamptz,
    -- Why the last Save came to nothing (a stable code). Cleared when another one begins.
    add column change_error    text,
    add column change_error_at timestamptz,
    add constraint licenses_version_is_positive check (version > 0),
    add constraint licenses_change_error_has_a_time check ((change_error is null) = (change_error_at is null));

-- The carrier is the installation's choice from now on.
alter table licenses alter column carrier drop default;

alter table messages_numbers
    -- The candidate that was saved: saving it again answers the same. Null: the first number.
    add column candidate_id uuid,
    -- When an audit last saw it at the carrier.
    add column seen_at      timestamptz;
