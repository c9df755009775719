-- What conversations knows of a license: the head of its feed and its messages number.
-- Every change that opens, closes or adds to a conversation begins by locking its license's row here, and every feed
-- entry takes its position under that lock, held until the commit. That settles the races inside a license and gives
-- the feed its gapless order (rule 15).
create table licenses (
    license_id         text        primary key,
    -- The newest feed entry; 0: none yet.
    feed_head          bigint      not null default 0,
    -- Projection of numbers.number.assigned. Null: none assigned yet, or not heard of yet.
    number             text,
    carrier            text,
    number_assigned_at timestamptz,
    number_version     bigint      not null default 0
);

-- Inbound messages find their license by the number they were sent to (rule 8).
create index licenses_by_number on licenses (number) where number is not null;
