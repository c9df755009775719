-- An entry of the kind batch.updated or scheduled.updated refers to its send.
alter table feed add column send_id uuid;
