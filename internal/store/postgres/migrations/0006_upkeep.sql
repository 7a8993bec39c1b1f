-- concurrently
-- What ends by itself is found by its end, so that upkeep costs what is removed and not what is kept. Nodes work on while the indexes are
-- built. touched is the day in new rows, so that most verifications of a number leave the index as it is.
DROP INDEX CONCURRENTLY IF EXISTS numbers_by_touched;
CREATE INDEX CONCURRENTLY numbers_by_touched ON numbers (touched);
DROP INDEX CONCURRENTLY IF EXISTS limits_by_hour;
CREATE INDEX CONCURRENTLY limits_by_hour ON limits (hour);
DROP INDEX CONCURRENTLY IF EXISTS replays_by_end;
CREATE INDEX CONCURRENTLY replays_by_end ON replays (until);
DROP INDEX CONCURRENTLY IF EXISTS sent_by_end;
CREATE INDEX CONCURRENTLY sent_by_end ON sent (until);
