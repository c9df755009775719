-- Whether texts are wanted at a number (rule 13). It is the number's, not a person's or a conversation's: it stays when
-- the license gets another number, when the number goes to somebody else, and when nobody has it.
-- No row: nothing was said.
create table consents (
    license_id   text        not null,
    number       text        not null,
    opted_out    boolean     not null,
    -- keyword, manager, carrier
    source       text        not null,
    -- With manager: who noted it, with the name of that day, and how the person said it.
    manager_id   text,
    manager_name text,
    reason       text,
    changed_at   timestamptz not null,
    primary key (license_id, number)
);
