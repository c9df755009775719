-- What conversations knows of a license: the head of its feed and its messages number.
-- Every change of a license begins by locking its row here. That makes one writer at a time per license,
-- gives the feed its gapless order (rule 15), and settles every race inside a license.
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
