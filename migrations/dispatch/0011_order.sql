-- Texts to one person go one after the other, in the order in which they were accepted: a reply names the one before it. The
-- stream, its consumers and a crash may bring them here in another order.
alter table deliveries
    -- It goes when this one is over. Null: it follows none that matters.
    add follows       uuid,
    -- One that is not here by then does not come any more.
    add follows_until timestamptz;

-- Whether something in a lane may wait for another.
create index deliveries_following on deliveries (license_id) where state = 'waiting' and follows is not null;
