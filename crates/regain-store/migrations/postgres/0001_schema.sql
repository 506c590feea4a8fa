-- The whole schema. A released migration never changes: what comes later is a file of its own.
--
-- Times are milliseconds since the Unix epoch. There are no foreign keys on purpose: a letter and a token outlive
-- their account, so that a deleted account is told apart from one that never was. Text is compared byte by byte,
-- whatever the collation of the database.

CREATE TABLE meta (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE accounts (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    name_key     TEXT COLLATE "C" NOT NULL UNIQUE,
    address      TEXT COLLATE "C",
    password     TEXT COLLATE "C",
    generation   BIGINT NOT NULL DEFAULT 0 CHECK (generation BETWEEN 0 AND 4294967295),
    kept_session BYTEA CHECK (length(kept_session) = 32),
    is_admin     BOOLEAN NOT NULL DEFAULT false,
    is_confirmed BOOLEAN NOT NULL DEFAULT false,
    is_disabled  BOOLEAN NOT NULL DEFAULT false,
    metadata     TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    created      BIGINT NOT NULL
);

-- Few accounts are listed for what they are.
CREATE INDEX accounts_admins ON accounts (name_key) WHERE is_admin;
CREATE INDEX accounts_disabled ON accounts (name_key) WHERE is_disabled;

CREATE TABLE letters (
    id          BYTEA PRIMARY KEY CHECK (length(id) = 16),
    purpose     TEXT COLLATE "C" NOT NULL CHECK (purpose IN ('reset', 'confirm', 'password_changed')),
    name_key    TEXT COLLATE "C" NOT NULL,
    account     TEXT COLLATE "C",
    ip          TEXT COLLATE "C",
    agent       TEXT COLLATE "C",
    posted      BIGINT NOT NULL,
    deadline    BIGINT NOT NULL,
    due         BIGINT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 4294967295),
    repeats     BIGINT NOT NULL DEFAULT 0 CHECK (repeats BETWEEN 0 AND 4294967295),
    state       TEXT COLLATE "C" NOT NULL DEFAULT 'waiting'
                CHECK (state IN ('waiting', 'claimed', 'sent', 'dead', 'expired', 'dropped', 'superseded')),
    claim       BYTEA CHECK (length(claim) = 16),
    lease       BIGINT,
    ended       BIGINT,
    last_error  TEXT COLLATE "C",
    relay_reply TEXT COLLATE "C",
    token_key   BYTEA CHECK (length(token_key) = 8),
    replaces    BYTEA CHECK (length(replaces) = 16),
    CHECK ((ended IS NULL) = (state IN ('waiting', 'claimed'))),
    CHECK ((state = 'claimed') = (claim IS NOT NULL AND lease IS NOT NULL))
) WITH (
    -- A queue: every row is written four times and then rests. Room for the later versions beside the first, and
    -- tidying up long before a fifth of a large table is dead.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);

-- What the courier looks for.
CREATE INDEX letters_waiting ON letters (due) WHERE state = 'waiting';
CREATE INDEX letters_claimed ON letters (lease) WHERE state = 'claimed';
-- What a repeated request meets.
CREATE INDEX letters_open ON letters (purpose, name_key) WHERE ended IS NULL;
CREATE INDEX letters_closed ON letters (purpose, name_key, ended, state) WHERE ended IS NOT NULL;
-- What is watched, counted and purged.
CREATE INDEX letters_oldest ON letters (posted) WHERE ended IS NULL;
CREATE INDEX letters_ended ON letters (state, ended) WHERE ended IS NOT NULL;
-- What operators list, newest first. Most letters are sent, and those cost nothing here.
CREATE INDEX letters_failed ON letters (state, id) WHERE state IN ('dead', 'expired', 'superseded');

-- How many letters are open: counted by the database itself, so that the limit holds across processes and a rolled-back
-- step counts for nothing. The number is the sum of all rows, one of which may be below zero: each session counts in
-- one of them, so that those that write at the same time seldom wait for each other.
-- Those of the commonest purposes are counted apart as well, for metrics.
CREATE TABLE outbox (
    shard    INTEGER PRIMARY KEY,
    open     BIGINT NOT NULL,
    resets   BIGINT NOT NULL DEFAULT 0,
    confirms BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
INSERT INTO outbox (shard, open) SELECT shard, 0 FROM generate_series(0, 31) shard;

CREATE FUNCTION letters_posted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more RECORD;
BEGIN
    SELECT count(*) AS open, count(*) FILTER (WHERE purpose = 'reset') AS resets,
           count(*) FILTER (WHERE purpose = 'confirm') AS confirms
    INTO more FROM new_letters WHERE ended IS NULL;
    IF more.open > 0 THEN
        UPDATE regain.outbox
        SET open = outbox.open + more.open, resets = outbox.resets + more.resets, confirms = outbox.confirms + more.confirms
        WHERE shard = pg_backend_pid() % 32;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION letters_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fewer RECORD;
BEGIN
    SELECT coalesce(sum(one), 0) AS open, coalesce(sum(one) FILTER (WHERE purpose = 'reset'), 0) AS resets,
           coalesce(sum(one) FILTER (WHERE purpose = 'confirm'), 0) AS confirms
    INTO fewer FROM (SELECT 1 AS one, purpose FROM old_letters WHERE ended IS NULL
                     UNION ALL
                     SELECT -1, purpose FROM new_letters WHERE ended IS NULL) changed;
    IF fewer.open <> 0 OR fewer.resets <> 0 OR fewer.confirms <> 0 THEN
        UPDATE regain.outbox
        SET open = outbox.open - fewer.open, resets = outbox.resets - fewer.resets,
            confirms = outbox.confirms - fewer.confirms
        WHERE shard = pg_backend_pid() % 32;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION letters_removed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fewer RECORD;
BEGIN
    SELECT count(*) AS open, count(*) FILTER (WHERE purpose = 'reset') AS resets,
           count(*) FILTER (WHERE purpose = 'confirm') AS confirms
    INTO fewer FROM old_letters WHERE ended IS NULL;
    IF fewer.open > 0 THEN
        UPDATE regain.outbox
        SET open = outbox.open - fewer.open, resets = outbox.resets - fewer.resets,
            confirms = outbox.confirms - fewer.confirms
        WHERE shard = pg_backend_pid() % 32;
    END IF;
    RETURN NULL;
END $$;

-- Once a statement, however many letters it touches.
CREATE TRIGGER letters_posted AFTER INSERT ON letters
    REFERENCING NEW TABLE AS new_letters FOR EACH STATEMENT EXECUTE FUNCTION letters_posted();
CREATE TRIGGER letters_changed AFTER UPDATE ON letters
    REFERENCING OLD TABLE AS old_letters NEW TABLE AS new_letters FOR EACH STATEMENT EXECUTE FUNCTION letters_changed();
CREATE TRIGGER letters_removed AFTER DELETE ON letters
    REFERENCING OLD TABLE AS old_letters FOR EACH STATEMENT EXECUTE FUNCTION letters_removed();

-- One token for each letter that has one, so that rows grow with time; the hash alone is random.
CREATE TABLE tokens (
    letter   BYTEA PRIMARY KEY CHECK (length(letter) = 16),
    hash     BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    purpose  TEXT COLLATE "C" NOT NULL CHECK (purpose IN ('reset', 'confirm')),
    account  TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    expires  BIGINT NOT NULL,
    used     BIGINT
);

CREATE INDEX tokens_unused ON tokens (account) WHERE used IS NULL;
CREATE INDEX tokens_expires ON tokens (expires);

CREATE TABLE revoked_sessions (
    session BYTEA PRIMARY KEY CHECK (length(session) = 32),
    account TEXT COLLATE "C" NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX revoked_sessions_expires ON revoked_sessions (expires);

-- What happened to which account or letter when: never an address, a client's address or a token.
CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    event   TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C",
    letter  BYTEA CHECK (length(letter) = 16),
    CHECK (account IS NOT NULL OR letter IS NOT NULL)
);

CREATE INDEX audit_at ON audit (at);
