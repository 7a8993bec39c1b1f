-- What a verification and a number consist of is bytes of our own (docs/decisions/0029); rows of before stay the JSON that they
-- are, and become bytes when they are next written. Each table is written anew once, and nobody works on it meanwhile. Both locks
-- come first: a deadlock with a node that still works then costs nothing.
LOCK TABLE numbers, verifications IN ACCESS EXCLUSIVE MODE;
ALTER TABLE numbers
  ALTER COLUMN data TYPE bytea USING convert_to(data, 'UTF8');
ALTER TABLE verifications
  ALTER COLUMN spec TYPE bytea USING convert_to(spec, 'UTF8'),
  ALTER COLUMN state TYPE bytea USING convert_to(state, 'UTF8');
