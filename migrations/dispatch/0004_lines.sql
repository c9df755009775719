-- What is known of the lines behind recipients' numbers (rule 12): from a carrier's lookup before the first send, or from
-- what a carrier said afterwards. A line is the same for every license and asking costs money, so it is asked about
-- once for all of them: this key does not start with the license. It starts with the number, and could be sharded by it.
-- Nothing here says who texted whom.
create table lines (
    -- E.164.
    number             text        not null constraint lines_pkey primary key,
    cannot_receive_sms boolean     not null,
    learned_at         timestamptz not null,
    -- Numbers move to other lines: afterwards it is asked again.
    known_until        timestamptz not null
);

-- What is no longer known, for the sweep.
create index lines_known_until on lines (known_until);
