-- Whether due is the end of a lease, and jobs by their kind: those of one kind are claimed apart from the others.
ALTER TABLE jobs ADD COLUMN leased smallint NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_kind ON jobs (kind, due);
DROP INDEX jobs_by_due;

-- What ends by itself is found by its end, so that upkeep costs what is removed and not what is kept. touched is the day, and hour the
-- end of a limit in hours, so that most changes leave the indexes as they are.
ALTER TABLE limits ADD COLUMN hour bigint NOT NULL DEFAULT 0;
CREATE INDEX numbers_by_touched ON numbers (touched);
CREATE INDEX limits_by_hour ON limits (hour);
CREATE INDEX replays_by_end ON replays (until);
CREATE INDEX sent_by_end ON sent (until);
