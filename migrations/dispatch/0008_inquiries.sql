-- What a carrier is asked about afterwards: whether it took a message whose outcome nobody knows (rule 16), and what became
-- of one that it took when no receipt says so.
alter table deliveries
    -- When it is asked next. Null: it is not.
    add ask_at timestamptz,
    -- How often it has answered so far.
    add asked  smallint not null default 0;

-- What is to be asked about, over all licenses: a carrier answers one question at a time, whoever's it is.
create index deliveries_to_ask on deliveries (ask_at) where ask_at is not null;

-- A new state: `unconfirmed`. Nobody will find out any more by itself whether the carrier took it; a person decides. It is over,
-- and without its text. A receipt still settles it. Not validated: what is there has satisfied the narrower checks, and
-- reading all of it would hold up the sending.
alter table deliveries drop constraint deliveries_state_known;
alter table deliveries add constraint deliveries_state_known
    check (state in ('waiting', 'attempting', 'unknown', 'accepted', 'failed', 'canceled', 'unconfirmed')) not valid;
alter table deliveries drop constraint deliveries_settled;
alter table deliveries add constraint deliveries_settled
    check ((settled_at is not null) = (state in ('accepted', 'failed', 'canceled', 'unconfirmed'))) not valid;

-- What is unknown already is asked about.
update deliveries set ask_at = now() where state = 'unknown';

-- An attempt of which the carrier's list shows nothing: it was surely not taken.
alter table attempts drop constraint attempts_outcome_known;
alter table attempts add constraint attempts_outcome_known
    check (outcome in ('accepted', 'rejected', 'refused', 'throttled', 'unreachable', 'unknown', 'withheld', 'not_taken'))
    not valid;

-- Whose a message of the carrier's list is: two messages may have the same text.
create index attempts_by_carrier_message on attempts (license_id, carrier_message_id) where carrier_message_id is not null;
