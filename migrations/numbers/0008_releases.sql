-- Numbers to give back to their carrier (rule 5). Written in the transaction that stops using a number, removed when
-- the carrier says that it is gone. Until then the number is still ours.
create table releases (
    carrier           text        not null,
    carrier_number_id text        not null,
    -- E.164.
    number            text        not null,
    -- Whose it was.
    license_id        text        not null references licenses (license_id),
    -- Failed tries, and why the last one failed (a stable code).
    attempts          integer     not null check (attempts >= 0),
    last_error        text,
    -- Not before: texts that are under way find the old number a little while.
    next_attempt_at   timestamptz not null,
    -- As with acquisitions.
    lease             uuid,
    leased_until      timestamptz,
    created_at        timestamptz not null,
    constraint releases_pkey primary key (carrier, carrier_number_id),
    constraint releases_one_per_number unique (number),
    constraint releases_lease_has_an_end check ((lease is null) = (leased_until is null))
);

create index releases_by_due_time on releases (next_attempt_at);
