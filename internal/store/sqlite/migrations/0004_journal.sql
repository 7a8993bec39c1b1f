-- What was committed of verifications and numbers and is not in their tables yet, in the order of the commits: a row that is in a page
-- counts before the one in its table, and in a later page before an earlier one. internal/store/journal.go has the format.
CREATE TABLE journal (seq INTEGER PRIMARY KEY, page BLOB NOT NULL);
