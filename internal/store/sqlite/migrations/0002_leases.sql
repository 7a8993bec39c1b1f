-- Work that one process at a time does for all.
CREATE TABLE leases (name TEXT PRIMARY KEY, holder BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
