-- How often in a row a courier ended while it had a letter. One that is there at every crash may be what crashes.
ALTER TABLE letters ADD COLUMN crashes BIGINT NOT NULL DEFAULT 0 CHECK (crashes BETWEEN 0 AND 4294967295);
