-- Messages by their words. A loop beside the service fills this (src/index.rs), never the transaction of a message: an index
-- of words on the messages themselves took 15 to 23 % of what came in.
--
-- Which words. Most texts are English, so a word stands here by its stem ("leak" finds "leaking"). It stands here also as it
-- was written, because the beginning of a word is looked for as well and "maintenanc" is no beginning of the stem "mainten".
-- Spanish texts go through the same: both sides are stemmed alike, so whole words and beginnings are found. Without
-- English stop words, and without accents, which few people type on a phone. Names and numbers stay as they are.

create text search dictionary written_words (template = pg_catalog.simple, stopwords = english);
create text search configuration written_words (copy = pg_catalog.simple);
alter text search configuration written_words
    alter mapping for asciiword, word, numword, asciihword, hword, numhword, hword_asciipart, hword_part, hword_numpart
    with written_words;

-- Letters as they are typed without accents.
create function plain_letters(written text) returns text
language sql immutable parallel safe
return translate(written,
    'áéíóúüñàèìòùâêîôûäëïöçÁÉÍÓÚÜÑÀÈÌÒÙÂÊÎÔÛÄËÏÖÇ',
    'aeiouunaeiouaeiouaeiocAEIOUUNAEIOUAEIOUAEIOC');

-- What is searched of a text. Punctuation goes by which the parser would take several words for one (a host, a path, a tag, a
-- signed number). Words of more than 250 characters are nobody's and do not fit into an index.
create function searchable_text(body text) returns text
language sql immutable parallel safe
return translate(
    plain_letters(case when octet_length(body) <= 1300 then body
                       else regexp_replace(left(body, 10000), '\S{251,}', ' ', 'g') end),
    './@_-+<>&', '         ');

-- The words of a text: the stems with their places, for phrases and ranks, then the words as written.
create function words_of(body text) returns tsvector
language sql immutable parallel safe
return to_tsvector('pg_catalog.english', searchable_text(body))
    || strip(to_tsvector('written_words', searchable_text(body)));

-- The same, each with its license (acme/leak). Written as in 0015.
create function words_of_license(license_id text, words tsvector) returns tsvector
language sql immutable parallel safe
return replace(' ' || words::text, ' ''', ' ''' || license_id || '/')::tsvector;

create table message_words (
    license_id      text        not null,
    message_id      uuid        not null,
    conversation_id uuid        not null,
    created_at      timestamptz not null,
    words           tsvector    not null,
    -- Also the newest first: ids are made in order of time.
    primary key (license_id, message_id)
);

-- An index of words alone would lead through the texts of all licenses: each word carries its license here, and only here.
-- Without a list of rows that wait to be indexed: every search would read it.
create index message_words_by_word on message_words using gin (words_of_license(license_id, words)) with (fastupdate = off);
-- A conversation that is erased takes its words with it.
create index message_words_of_conversation on message_words (license_id, conversation_id);

-- How far each license's words go. Who writes or erases words of a license holds its row here; the license itself stays free.
create table word_marks (
    license_id text   primary key,
    -- Of the feed: the words of all messages up to this position stand, but for what is still scanned.
    indexed_to bigint not null,
    -- Messages that are older than the feed goes back are read by their id, after this one. Null: nothing is left to read so.
    scan_after uuid
);
