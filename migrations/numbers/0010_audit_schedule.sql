-- When the next audit is due: one row, so that one replica at a time takes it.
create table audit_schedule (
    only_row boolean     not null default true,
    due_at   timestamptz not null,
    constraint audit_schedule_pkey primary key (only_row),
    constraint audit_schedule_has_one_row check (only_row)
);

insert into audit_schedule (due_at) values ('-infinity');
