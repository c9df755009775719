-- Who carried a message, beside the id under which they did. Null: nobody yet, or it was before this was noted.
alter table messages add column carrier text;
