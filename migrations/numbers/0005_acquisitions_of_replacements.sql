-- The saga of the first number also serves a replacement: the one row of a license decides which of two Saves wins.
alter table acquisitions
    -- first: a new license's number; keeps trying. replacement: exactly the candidate's number, or nothing.
    add column purpose      text    not null default 'first',
    add column carrier      text    not null default 'twilio',
    add column candidate_id uuid,
    -- From then on nothing is bought any more. What may have been bought already is still looked for.
    add column give_up_at   timestamptz,
    -- A purchase was begun and its answer is not recorded: only the carrier knows whether the number is ours.
    add column in_doubt     boolean not null default true,
    add constraint acquisitions_known_purpose check (purpose in ('first', 'replacement')),
    add constraint acquisitions_replacement_has_a_candidate check
        ((purpose = 'replacement') = (candidate_id is not null) and (candidate_id is null) = (give_up_at is null)),
    add constraint acquisitions_replacement_never_searches check (purpose = 'first' or step = 'buying');

-- Rows from before stay in doubt; new ones say it themselves.
alter table acquisitions
    alter column purpose drop default,
    alter column carrier drop default,
    alter column in_doubt drop default;
