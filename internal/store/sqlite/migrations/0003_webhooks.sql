-- Where applications want their events.
CREATE TABLE webhooks (id BLOB PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;

-- One event on its way to one endpoint. sealed is its body, encrypted; log its newest attempts. due is 0 once it is over. A row
-- with an endpoint of zeros is no event: it comes due when a verification ends by itself.
CREATE TABLE events (
  id       BLOB    PRIMARY KEY,
  event    BLOB    NOT NULL,
  endpoint BLOB    NOT NULL,
  ref      BLOB    NOT NULL,
  kind     TEXT    NOT NULL,
  sealed   BLOB,
  state    INTEGER NOT NULL,
  due      INTEGER NOT NULL,
  claims   INTEGER NOT NULL,
  tries    INTEGER NOT NULL,
  log      TEXT    NOT NULL
);
CREATE INDEX events_by_due ON events (endpoint, due) WHERE due > 0;
CREATE INDEX events_by_endpoint ON events (endpoint, id);
CREATE INDEX events_by_ref ON events (ref);
