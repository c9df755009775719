-- Limits that licenses share (rule 18): of a campaign at a network, and of a brand in a day. Rows appear when a limit is set
-- or a carrier speaks of one. Without either, nothing reads or writes here.
create table limits (
    scope        text        not null,
    -- The word of the registration; '.' and the license where it has none of its own.
    name         text        not null,
    -- 'all': of a brand, over all networks.
    network      text        not null,
    -- campaign: when its next segment may go, as in lanes.
    tat          timestamptz,
    -- brand: segments of this day, of America/Los_Angeles.
    day          date,
    used         integer     not null default 0,
    -- Nothing goes before, because the carrier said so; how often in a row, for the growth of the wait.
    closed_until timestamptz,
    closings     integer     not null default 0,
    constraint limits_pkey primary key (scope, name, network),
    constraint limits_scope_known check (scope in ('campaign', 'brand')),
    constraint limits_network_known check (network in ('att', 't_mobile', 'verizon', 'other', 'all'))
);

-- Rows change with every turn.
alter table limits set (fillfactor = 50);

-- A number whose queue at the carrier was full, as its receipts said: until when the lane paused for it, and how often in a
-- row. The lane's own setbacks end with the first message that the carrier takes; this does not.
alter table lanes
    add overflowed_until timestamptz,
    add overflows        integer not null default 0;

-- Whose the line is: an answer to a lookup.
alter table lines add network text;

-- The recipient's network as far as it is known when the message comes; null while no limit is set. What a network's limit
-- stops is passed over by this index, not by reading it.
alter table deliveries add network text;
create index deliveries_waiting_by_network on deliveries (license_id, network, priority, position)
    where state = 'waiting' and network is not null;
