-- What a license's company says about itself, for the people who work with its conversations.
-- Projection of numbers.company.changed. Null: not heard of yet; a company may also have no phone.
alter table licenses
    add column company_name    text,
    add column company_phone   text,
    -- The highest one that was heard of; 0: none.
    add column company_version bigint not null default 0;
