-- Conversations by the beginning of a word of somebody's name. Each word carries its license (acme/torres): an index of
-- words alone would lead through the names of all licenses. PostgreSQL writes a vector as 'one':1 'two':2 and no word has a
-- space in it, so the license is put before each. A name has at most 200 characters.
alter table conversation_people
    add column name_words tsvector not null generated always as (
        replace(' ' || to_tsvector('simple', translate(name, '.-/@_', '     '))::text,
                ' ''', ' ''' || license_id || '/')::tsvector) stored;

create index conversation_people_by_words on conversation_people using gin (name_words);
