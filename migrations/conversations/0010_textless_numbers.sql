-- Numbers that cannot receive texts (rule 12): landlines and the like, as carriers said when a message was to go there.
-- While a number stands here, sends to it are refused. It goes when a text comes from it, and after 90 days, because
-- numbers change hands.
create table textless_numbers (
    license_id text        not null,
    number     text        not null,
    learned_at timestamptz not null,
    primary key (license_id, number)
);

create index textless_numbers_by_age on textless_numbers using brin (learned_at);
