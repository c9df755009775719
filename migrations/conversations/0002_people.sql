-- People that managers text, with ids that the company's backend chooses.
create table people (
    license_id text        not null,
    person_id  text        not null,
    -- tenant, lead, vendor, owner
    kind       text        not null,
    name       text        not null,
    updated_at timestamptz not null,
    primary key (license_id, person_id)
);

-- The recipient picker lists by name.
create index people_by_name on people (license_id, lower(name), person_id);

-- Ties: "this number belongs to this person now". Two people may share a number (rule 10).
create table ties (
    license_id text        not null,
    person_id  text        not null,
    number     text        not null,
    -- The person's preferred number has the lowest position.
    position   integer     not null,
    tied_at    timestamptz not null,
    primary key (license_id, person_id, number)
);

-- Whose number is this?
create index ties_by_number on ties (license_id, number);
