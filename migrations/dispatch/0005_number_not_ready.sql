-- A third reason for a pause: the carrier does not take messages from our number, because it is not set up yet, or not
-- ours any more while the news of its successor is on its way.
alter table lanes drop constraint lanes_pause_reason_known;
alter table lanes add constraint lanes_pause_reason_known
    check (pause_reason in ('throttled', 'unreachable', 'number_not_ready'));
