-- Hot tables have a time-ordered integer key (the first 64 bits of the id) and as few indexes as can be:
-- a write to a random page costs several times a write to the newest one.

-- One try to prove one number. spec never changes; sealed holds the number and what else is personal, encrypted.
CREATE TABLE verifications (
  seq      INTEGER PRIMARY KEY,
  id       BLOB    NOT NULL,
  app      BLOB    NOT NULL,
  spec     TEXT    NOT NULL,
  sealed   BLOB,
  status   INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  expires  INTEGER NOT NULL,
  state    TEXT    NOT NULL
);
CREATE INDEX verifications_by_app ON verifications (app, seq);

-- One number in one application, by keyed hash: its limits, wrong codes, and newest verifications.
CREATE TABLE numbers (key BLOB PRIMARY KEY, data TEXT NOT NULL, touched INTEGER NOT NULL) WITHOUT ROWID;

-- Limits that are not a number's: theoretical arrival time in Unix milliseconds, by keyed hash.
CREATE TABLE limits (key BLOB PRIMARY KEY, tat INTEGER NOT NULL) WITHOUT ROWID;

-- Work to do. due is when it may be claimed: its time, or the end of the lease that runs.
CREATE TABLE jobs (
  seq     INTEGER PRIMARY KEY,
  id      BLOB    NOT NULL,
  kind    TEXT    NOT NULL,
  due     INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  ref     BLOB    NOT NULL,
  payload BLOB
);
CREATE INDEX jobs_by_due ON jobs (due);

-- Answers to requests with an Idempotency-Key, sealed.
CREATE TABLE replays (key BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, sealed BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;

-- Which delivery a provider's id names, for receipts that say nothing else: by hash of route and id.
CREATE TABLE sent (key BLOB PRIMARY KEY, ref BLOB NOT NULL, delivery BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE applications (id BLOB PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE api_keys (id BLOB PRIMARY KEY, data TEXT NOT NULL, used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

-- Counters of change, so that other processes see news cheaply.
CREATE TABLE versions (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO versions VALUES ('tenants', 1);
