-- Where applications want their events.
CREATE TABLE webhooks (id bytea PRIMARY KEY, data text NOT NULL);

-- One event on its way to one endpoint. sealed is its body, encrypted; log its newest attempts. due is 0 once it is over. A row
-- with an endpoint of zeros is no event: it comes due when a verification ends by itself.
CREATE TABLE events (
  id       bytea    PRIMARY KEY,
  event    bytea    NOT NULL,
  endpoint bytea    NOT NULL,
  ref      bytea    NOT NULL,
  kind     text     NOT NULL,
  sealed   bytea,
  state    smallint NOT NULL,
  due      bigint   NOT NULL,
  claims   integer  NOT NULL,
  tries    integer  NOT NULL,
  log      text     NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);
CREATE INDEX events_by_due ON events (endpoint, due) WHERE due > 0;
CREATE INDEX events_by_endpoint ON events (endpoint, id);
CREATE INDEX events_by_ref ON events (ref);
