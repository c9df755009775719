-- The one messages number of each license. Both halves of "one" are constraints: a license has at most
-- one number (rule 1), and a number has at most one license.
create table messages_numbers (
    license_id        text        not null references licenses (license_id),
    -- E.164.
    number            text        not null,
    -- The carrier that sold it; a number stays with its carrier for life.
    carrier           text        not null,
    -- What the carrier calls it, for configuring and releasing it.
    carrier_number_id text        not null,
    assigned_at       timestamptz not null,
    -- Grows with every assignment of this license; consumers of the event keep the highest.
    version           bigint      not null check (version > 0),
    constraint messages_numbers_one_per_license primary key (license_id),
    constraint messages_numbers_one_license_per_number unique (number)
);
