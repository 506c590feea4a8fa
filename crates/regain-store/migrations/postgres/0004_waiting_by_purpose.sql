-- Letters that wait are counted by purpose, for operators, without reading each of them.
-- The identity stays in its place behind the due time, in whose order letters are claimed.
DROP INDEX letters_waiting;
CREATE INDEX letters_waiting ON letters (due, id, purpose) WHERE state = 'waiting';
