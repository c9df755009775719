-- A message may have to wait until a time without holding up its lane: for the end of the quiet hours of its recipient, or
-- until its registration may send again. It is `held` meanwhile: not in line, and back in its old place afterwards.
alter table deliveries
    -- Then it is looked at again; sooner when what holds it changes.
    add held_until  timestamptz,
    add held_reason text;

-- `queued_at` is from when its waiting counts: later by as long as it was held where nobody was in trouble, so that a
-- night does not use up its patience.

-- Not validated: what is there has satisfied the narrower checks, and reading all of it would hold up the sending.
alter table deliveries drop constraint deliveries_state_known;
alter table deliveries add constraint deliveries_state_known
    check (state in ('waiting', 'held', 'attempting', 'unknown', 'accepted', 'failed', 'canceled', 'unconfirmed')) not valid;
alter table deliveries drop constraint deliveries_text_until_settled;
alter table deliveries add constraint deliveries_text_until_settled
    check (case when state in ('waiting', 'held') then body is not null else settled_at is null or body is null end)
    not valid;
alter table deliveries add constraint deliveries_held
    check ((state = 'held') = (held_until is not null) and (held_until is null) = (held_reason is null)) not valid;
alter table deliveries add constraint deliveries_held_reason_known
    check (held_reason in ('quiet_hours', 'daily_limit', 'throttled')) not valid;

-- What is over, over all lanes; what a change of its license ends; what a withdrawal finds. None of them has a row of a
-- message that is not held.
create index deliveries_held on deliveries (held_until) where state = 'held';
create index deliveries_held_of_license on deliveries (license_id, priority, position) where state = 'held';
create index deliveries_held_of_conversation on deliveries (license_id, conversation_id) where state = 'held';
create index deliveries_held_of_batch on deliveries (license_id, batch_id) where state = 'held' and batch_id is not null;

alter table lanes
    -- How the license sends, beside the pace of its number: hours of the recipient's day in which its batches wait, as
    -- minutes after midnight. Null: none.
    add quiet_from      smallint,
    add quiet_until     smallint,
    -- The registration with the networks. Null: one of its own.
    add campaign        text,
    add brand           text,
    -- Of the event that said so; only a higher one replaces it.
    add sending_version bigint not null default 0,
    add constraint lanes_quiet check (
        (quiet_from is null) = (quiet_until is null) and quiet_from between 0 and 1439 and quiet_until between 0 and 1439
        and quiet_from <> quiet_until);
