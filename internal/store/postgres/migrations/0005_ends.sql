-- Whether due is the end of a lease, and jobs by their kind: those of one kind are claimed apart from the others.
ALTER TABLE jobs ADD COLUMN leased smallint NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_kind ON jobs (kind, due);
DROP INDEX jobs_by_due;

-- The end of a limit in hours, by which it is found once it is over: most changes of a limit leave it as it is.
ALTER TABLE limits ADD COLUMN hour bigint NOT NULL DEFAULT 0;
