-- How a license sends, beside the pace of its number.
alter table licenses
    -- Hours of the recipient's day in which batches wait: minutes after midnight, the end exclusive. Null: none.
    add column quiet_from      integer,
    add column quiet_until     integer,
    -- The registration with the carriers' networks under which it sends. Null: one of its own.
    add column campaign        text,
    add column brand           text,
    -- Grows with every change of these; consumers of the event keep the highest. 0: nothing was ever said.
    add column sending_version bigint not null default 0,
    add constraint licenses_quiet_hours_are_whole check ((quiet_from is null) = (quiet_until is null)),
    add constraint licenses_quiet_hours_are_minutes_of_a_day check
        (quiet_from between 0 and 1439 and quiet_until between 0 and 1439 and quiet_from <> quiet_until),
    add constraint licenses_sending_version_is_not_negative check (sending_version >= 0);
