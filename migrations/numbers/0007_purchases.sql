-- Every number that we ever were about to buy. An audit gives back only what stands here: the account may hold
-- numbers that are none of our business.
create table purchases (
    number     text        not null,
    carrier    text        not null,
    license_id text        not null references licenses (license_id),
    -- When the number was last chosen.
    chosen_at  timestamptz not null,
    constraint purchases_pkey primary key (number, carrier, license_id)
);

insert into purchases (number, carrier, license_id, chosen_at)
select number, carrier, license_id, assigned_at from messages_numbers
union all
select number, carrier, license_id, created_at from acquisitions where number is not null;
