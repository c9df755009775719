-- Candidates: numbers that were offered and not bought (rule 3). A row is written before the carrier is asked, because
-- it is also what the limit of searches counts.
create table candidates (
    candidate_id      uuid        not null,
    license_id        text        not null references licenses (license_id),
    -- The one that offers it, and where it will be bought.
    carrier           text        not null,
    -- E.164. Null: the search runs, or found nothing.
    number            text,
    area_code_matched boolean,
    requested_at      timestamptz not null,
    expires_at        timestamptz,
    constraint candidates_pkey primary key (candidate_id),
    constraint candidates_offer_is_whole check
        ((number is null) = (area_code_matched is null) and (number is null) = (expires_at is null))
);

create index candidates_by_license on candidates (license_id, requested_at);
-- A number that is offered to somebody is not offered to somebody else.
create index candidates_by_number on candidates (number, expires_at) where number is not null;
