-- What was committed and is not in its table yet, in the order of the commits: verifications, numbers, jobs and limits, each segment with a
-- checksum. internal/store/sqlite/journal has the format. It takes the place of the table journal, whose pages are compacted by this step.
CREATE TABLE segments (seq INTEGER PRIMARY KEY, segment BLOB NOT NULL);

-- Segments that were damaged, as they were, after an operator has decided to go on without them.
CREATE TABLE quarantine (seq INTEGER NOT NULL, segment BLOB NOT NULL, at INTEGER NOT NULL);

-- Whether due is the end of a lease. The server has all jobs in memory, by due.
ALTER TABLE jobs ADD COLUMN leased INTEGER NOT NULL DEFAULT 0;
DROP INDEX jobs_by_due;

-- What ends by itself is found by its end, so that upkeep costs what is removed and not what is kept. touched is the day, so that most
-- verifications of a number leave the index as it is.
CREATE INDEX numbers_by_touched ON numbers (touched);
CREATE INDEX limits_by_end ON limits (tat);
CREATE INDEX replays_by_end ON replays (until);
CREATE INDEX sent_by_end ON sent (until);
