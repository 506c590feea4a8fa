-- An administrator may give a deleted account's identity to a new one. Sessions of the old account name that identity and
-- a generation up to this one; the new account begins above it, so that none of them comes back to life.
CREATE TABLE deleted_accounts (
    id         TEXT COLLATE "C" PRIMARY KEY,
    generation BIGINT NOT NULL CHECK (generation BETWEEN 0 AND 4294967295)
);
