-- Acquisitions: licenses that are still getting their first number. The row is the memory of a saga:
-- what is about to be done stands here before it is done, so that another replica can go on after a crash
-- without buying twice (rule 5). The row goes when the number is assigned.
create table acquisitions (
    license_id      text        not null references licenses (license_id),
    -- searching: no number is chosen. buying: this number is chosen and may have been bought already.
    step            text        not null,
    number          text,
    -- Numbers that turned out not to be had, newest last; a bounded list.
    skipped         text[]      not null,
    -- Failed tries of this step, and why the last try failed (a stable code).
    attempts        integer     not null check (attempts >= 0),
    last_error      text,
    next_attempt_at timestamptz not null,
    -- Who works on it, and until when nobody else may. Every write names the lease, so that a replica
    -- that was too slow changes nothing.
    lease           uuid,
    leased_until    timestamptz,
    created_at      timestamptz not null,
    constraint acquisitions_pkey primary key (license_id),
    -- Two licenses never try to buy the same number.
    constraint acquisitions_one_license_per_number unique (number),
    constraint acquisitions_known_step check (step in ('searching', 'buying')),
    constraint acquisitions_number_while_buying check ((step = 'buying') = (number is not null)),
    constraint acquisitions_lease_has_an_end check ((lease is null) = (leased_until is null))
);

create index acquisitions_by_due_time on acquisitions (next_attempt_at);
