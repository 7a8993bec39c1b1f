-- A token of each lane's newest commit, in the transaction itself: after a connection was lost during COMMIT, only an equal token
-- tells that it happened. Nodes of the version before count on and leave it alone.
ALTER TABLE lanes ADD COLUMN token bytea;
