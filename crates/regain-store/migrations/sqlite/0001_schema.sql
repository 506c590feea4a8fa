-- The whole schema. A released migration never changes: what comes later is a file of its own.
--
-- Times are milliseconds since the Unix epoch. There are no foreign keys on purpose: a letter and a token outlive
-- their account, so that a deleted account is told apart from one that never was.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id           TEXT PRIMARY KEY NOT NULL,
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL UNIQUE,
    address      TEXT,
    password     TEXT,
    generation   INTEGER NOT NULL DEFAULT 0 CHECK (generation BETWEEN 0 AND 4294967295),
    kept_session BLOB CHECK (length(kept_session) = 32),
    is_admin     INTEGER NOT NULL DEFAULT 0 CHECK (is_admin IN (0, 1)),
    is_confirmed INTEGER NOT NULL DEFAULT 0 CHECK (is_confirmed IN (0, 1)),
    is_disabled  INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)),
    metadata     TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
    created      INTEGER NOT NULL
) STRICT;

CREATE TABLE letters (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    purpose     TEXT NOT NULL CHECK (purpose IN ('reset', 'confirm', 'password_changed')),
    name_key    TEXT NOT NULL,
    account     TEXT,
    ip          TEXT,
    agent       TEXT,
    posted      INTEGER NOT NULL,
    deadline    INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 4294967295),
    repeats     INTEGER NOT NULL DEFAULT 0 CHECK (repeats BETWEEN 0 AND 4294967295),
    state       TEXT NOT NULL DEFAULT 'waiting'
                CHECK (state IN ('waiting', 'claimed', 'sent', 'dead', 'expired', 'dropped', 'superseded')),
    claim       BLOB CHECK (length(claim) = 16),
    lease       INTEGER,
    ended       INTEGER,
    last_error  TEXT,
    relay_reply TEXT,
    token_key   BLOB CHECK (length(token_key) = 8),
    replaces    BLOB CHECK (length(replaces) = 16),
    CHECK ((ended IS NULL) = (state IN ('waiting', 'claimed'))),
    CHECK ((state = 'claimed') = (claim IS NOT NULL AND lease IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What the courier looks for.
CREATE INDEX letters_waiting ON letters (due) WHERE state = 'waiting';
CREATE INDEX letters_claimed ON letters (lease) WHERE state = 'claimed';
-- What a repeated request meets.
CREATE INDEX letters_open ON letters (purpose, name_key) WHERE ended IS NULL;
CREATE INDEX letters_closed ON letters (purpose, name_key, ended, state) WHERE ended IS NOT NULL;
-- What is watched, counted and purged.
CREATE INDEX letters_oldest ON letters (posted) WHERE ended IS NULL;
CREATE INDEX letters_ended ON letters (state, ended) WHERE ended IS NOT NULL;

-- How many letters are open: counted by the database itself, so that the limit holds across processes and
-- a rolled-back step counts for nothing.
CREATE TABLE outbox (
    only_row INTEGER PRIMARY KEY NOT NULL CHECK (only_row = 1),
    open     INTEGER NOT NULL CHECK (open >= 0)
) STRICT;
INSERT INTO outbox (only_row, open) VALUES (1, 0);

CREATE TRIGGER letter_posted AFTER INSERT ON letters WHEN new.ended IS NULL BEGIN
    UPDATE outbox SET open = open + 1 WHERE only_row = 1;
END;
CREATE TRIGGER letter_closed AFTER UPDATE OF ended ON letters
WHEN old.ended IS NULL AND new.ended IS NOT NULL BEGIN
    UPDATE outbox SET open = open - 1 WHERE only_row = 1;
END;
CREATE TRIGGER letter_removed AFTER DELETE ON letters WHEN old.ended IS NULL BEGIN
    UPDATE outbox SET open = open - 1 WHERE only_row = 1;
END;

-- One token for each letter that has one, so that rows grow with time; the hash alone is random.
CREATE TABLE tokens (
    letter   BLOB PRIMARY KEY NOT NULL CHECK (length(letter) = 16),
    hash     BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    purpose  TEXT NOT NULL CHECK (purpose IN ('reset', 'confirm')),
    account  TEXT NOT NULL,
    name_key TEXT NOT NULL,
    expires  INTEGER NOT NULL,
    used     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_unused ON tokens (account) WHERE used IS NULL;
CREATE INDEX tokens_expires ON tokens (expires);

CREATE TABLE revoked_sessions (
    session BLOB PRIMARY KEY NOT NULL CHECK (length(session) = 32),
    account TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_sessions_expires ON revoked_sessions (expires);

-- What happened to which account or letter when: never an address, a client's address or a token.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY NOT NULL,
    at      INTEGER NOT NULL,
    event   TEXT NOT NULL,
    account TEXT,
    letter  BLOB CHECK (length(letter) = 16),
    CHECK (account IS NOT NULL OR letter IS NOT NULL)
) STRICT;

CREATE INDEX audit_at ON audit (at);
