-- Licenses: what a customer company has told us about itself.
create table licenses (
    -- Chosen by the company's backend.
    license_id    text        not null,
    company_name  text        not null,
    -- E.164. Calls to the messages number ring there (rule 6). Null: none was given.
    company_phone text,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    constraint licenses_pkey primary key (license_id)
);

-- Before a number is bought: is it some company's own phone? Such a number would ring in a circle (rule 6).
create index licenses_by_company_phone on licenses (company_phone) where company_phone is not null;
