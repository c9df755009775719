-- Which texts each license's present number got, as its carrier lists them, is compared with what came in: a webhook that was
-- lost is not always repeated. A row for each license that has a number; a new number takes the place of the old one.
create table backfills (
    license_id  text        primary key,
    number      text        not null,
    carrier     text        not null,
    -- What came to the number before it was the license's is nobody's business.
    assigned_at timestamptz not null,
    -- Every text that the carrier listed until then was taken in.
    checked_to  timestamptz not null,
    -- When it is looked next; while somebody looks, when he has given up. Null: the carrier has no list.
    due_at      timestamptz,
    -- Since the last look that ended well.
    tries       integer     not null default 0
);

create index backfills_due on backfills (due_at);

-- Numbers that were assigned before: looked at within a quarter of an hour, not all at once.
insert into backfills (license_id, number, carrier, assigned_at, checked_to, due_at)
select license_id, number, carrier, number_assigned_at, number_assigned_at, now() + random() * interval '15 minutes'
from licenses
where number is not null and carrier is not null and number_assigned_at is not null;
