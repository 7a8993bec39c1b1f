-- Every hot row is found by one key: a number by its hash (which has the application in it), everything else by a
-- time-ordered id. There is no foreign key and no sequence, so that a distributed database can shard each table by its key.
-- Rows that are updated in place have room on their page (fillfactor), and what is updated is in no index: such an update
-- touches no index at all.

-- One number in one application, by keyed hash: its limits, wrong codes, and newest verifications. Its row is the lock of
-- all that happens to the number.
CREATE TABLE numbers (
  key     bytea  PRIMARY KEY,
  data    text   NOT NULL,
  touched bigint NOT NULL
) WITH (fillfactor = 70);

-- One try to prove one number. spec never changes; sealed holds the number and what else is personal, encrypted.
CREATE TABLE verifications (
  id       bytea    PRIMARY KEY,
  app      bytea    NOT NULL,
  number   bytea,   -- the key of its row in numbers; NULL once it is forgotten
  spec     text     NOT NULL,
  sealed   bytea,
  status   smallint NOT NULL,
  attempts smallint NOT NULL,
  expires  bigint   NOT NULL,
  state    text     NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX verifications_by_app ON verifications (app, id);

-- Limits that are not a number's: theoretical arrival time in Unix milliseconds, by keyed hash.
CREATE TABLE limits (
  key bytea  PRIMARY KEY,
  tat bigint NOT NULL
) WITH (fillfactor = 50);

-- Work to do. due is when it may be claimed: its time, or the end of the lease that runs. Rows come and go quickly, so they
-- are vacuumed early.
CREATE TABLE jobs (
  id      bytea   PRIMARY KEY,
  kind    text    NOT NULL,
  due     bigint  NOT NULL,
  attempt integer NOT NULL,
  ref     bytea   NOT NULL,
  payload bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);
CREATE INDEX jobs_by_due ON jobs (due);

-- Answers to requests with an Idempotency-Key, sealed.
CREATE TABLE replays (
  key         bytea  PRIMARY KEY,
  fingerprint bytea  NOT NULL,
  sealed      bytea  NOT NULL,
  until       bigint NOT NULL
);

-- Which delivery a provider's id names, for receipts that say nothing else: by hash of route and id.
CREATE TABLE sent (
  key      bytea  PRIMARY KEY,
  ref      bytea  NOT NULL,
  delivery bytea  NOT NULL,
  until    bigint NOT NULL
);

CREATE TABLE applications (id bytea PRIMARY KEY, data text NOT NULL);
CREATE TABLE api_keys (id bytea PRIMARY KEY, data text NOT NULL, used bigint NOT NULL DEFAULT 0);

-- Counters of change, so that other nodes see news cheaply.
CREATE TABLE versions (name text PRIMARY KEY, n bigint NOT NULL);
INSERT INTO versions VALUES ('tenants', 1);

-- Work that one node at a time does for all.
CREATE TABLE leases (name text PRIMARY KEY, holder bytea NOT NULL, until bigint NOT NULL);

-- Each lane of each node counts its commits here, in the transaction itself: after a connection was lost during COMMIT, the
-- count tells whether it happened.
CREATE TABLE lanes (
  id   bytea  PRIMARY KEY,
  n    bigint NOT NULL,
  seen bigint NOT NULL
) WITH (fillfactor = 20);
