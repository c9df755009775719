-- Licenses whose route in the bucket ROUTES is not what it should be. Whoever publishes holds the row's lock until
-- NATS has acknowledged, so that two replicas cannot leave the older value behind.
create table stale_routes (
    license_id text        not null references licenses (license_id),
    marked_at  timestamptz not null,
    constraint stale_routes_pkey primary key (license_id)
);

create index stale_routes_by_age on stale_routes (marked_at);

-- The bucket is new: every number has to be told once.
insert into stale_routes (license_id, marked_at) select license_id, now() from messages_numbers;
