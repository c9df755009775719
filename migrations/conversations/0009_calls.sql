-- Calls to a license's messages number, and what came of them (rule 6). Carriers tell of a call in several events, in
-- any order.
create table calls (
    license_id      text        not null,
    call_id         uuid        not null,
    carrier         text        not null,
    carrier_call_id text        not null,
    -- Null: withheld, or no North American number.
    from_number     text,
    -- The messages number of that time.
    to_number       text        not null,
    -- The caller's open conversation, if there was one when the call came.
    conversation_id uuid,
    -- answered, no_answer, busy, failed. Null: it rings, or nobody has said yet.
    result          text,
    duration_s      integer,
    started_at      timestamptz not null,
    -- When the result was known.
    ended_at        timestamptz,
    primary key (license_id, call_id)
);

-- The events of one call belong together, however often they come.
create unique index calls_once on calls (license_id, carrier, carrier_call_id);
-- A page of the list, newest first.
create index calls_by_time on calls (license_id, started_at desc, call_id desc);

-- To whom the caller's number belonged when the call came, under the names of that day.
create table call_people (
    license_id text not null,
    call_id    uuid not null,
    person_id  text not null,
    kind       text not null,
    name       text not null,
    primary key (license_id, call_id, person_id)
);

-- An entry of the kind call.updated refers to its call.
alter table feed add column call_id uuid;
