-- The message that took the place of one that came to nothing, when a manager sent it again. Null: nobody did.
alter table messages add sent_again_as uuid;
