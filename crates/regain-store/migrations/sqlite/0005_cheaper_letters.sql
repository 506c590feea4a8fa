-- What is written for each mail costs less. Rows stay as they are, so that many letters take no time.

-- SQLite makes a table of its own in memory for a list of three words or more, each time a row is checked. Comparisons cost
-- nearly nothing. The same values are allowed; the text of the table alone changes, as SQLite documents it
-- (https://www.sqlite.org/lang_altertable.html, section 7).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(replace(sql,
    'state IN (''waiting'', ''claimed'', ''sent'', ''dead'', ''expired'', ''dropped'', ''superseded'')',
    'state = ''claimed'' OR state = ''sent'' OR state = ''waiting'' OR state = ''dead'' OR state = ''expired'' OR state = ''dropped'' OR state = ''superseded'''),
    'purpose IN (''reset'', ''confirm'', ''password_changed'')',
    'purpose = ''reset'' OR purpose = ''confirm'' OR purpose = ''password_changed''')
WHERE type = 'table' AND name = 'letters';
PRAGMA writable_schema = RESET;

-- Open letters are counted as before, but whoever closes some says once how many: a trigger for each letter makes SQLite
-- keep a copy of each page that the letter's statement changes.
DROP TRIGGER letter_closed;

-- The tokens of an account are found by the letters of its name. Identities of accounts are random, so that each token
-- had changed a page of this index for itself. A letter is kept now while its token is good; tokens whose letter went
-- before are used up, since nobody would find them.
UPDATE tokens SET used = unixepoch() * 1000
WHERE used IS NULL AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.id = tokens.letter);
DROP INDEX tokens_unused;
