-- Rows of all kinds, written past the steps that would write them: every column has a value and none, where it may.
INSERT INTO meta (key, value) VALUES ('fingerprint', 'a "quoted" \ word');

INSERT INTO accounts
    (id, name, name_key, address, password, generation, kept_session, is_admin, is_confirmed, is_disabled, metadata, created)
VALUES
    ('a', 'ann@example.org', 'ann@example.org', 'ann@example.org', '$argon2id$v=19$m=64,t=2,p=2$c2FsdA$aGFzaA', 0, NULL,
     0, 1, 0, '{}', 1700000000000),
    ('B', 'Ann@example.org', 'Ann@example.org', NULL, NULL, 4294967295, randomblob(32), 1, 0, 1,
     '{"key":"a\ttab, a\nline, a \"quote\", a \\ and a \u0000"}', 0),
    ('Z-_.!~*''()', 'zoë "z" \n ' || char(9, 10, 13, 92, 39) || '@bücher.example', 'zoë', 'zoë@bücher.example', '', 1, NULL,
     0, 0, 0, '{"日本語":"🦀 \\N \\. ü"}', -1),
    ('9', '日本語', '日本語', NULL, '\N', 2, zeroblob(32), 0, 0, 0, '{ "spaced" : 1 }', 9223372036854775807),
    ('10', '🦀', '🦀', NULL, NULL, 3, NULL, 0, 0, 0, '{}', 5),
    ('é', 'ÿ', 'ÿ', '', NULL, 3, NULL, 0, 0, 0, '{}', 5),
    ('zz', '', '', NULL, NULL, 3, NULL, 0, 0, 0, '{}', 5);

INSERT INTO deleted_accounts (id, generation) VALUES ('gone', 4294967295), ('Gone', 0), ('a gone', 7), ('ä', 1);

-- The first byte of an identity has its highest bit set in some: they come behind the others.
INSERT INTO letters
    (id, purpose, name_key, account, ip, agent, posted, deadline, due, attempts, repeats, state, claim, lease, ended,
     last_error, relay_reply, token_key, replaces, crashes)
VALUES
    (x'00000000000000000000000000000001', 'reset', 'ann@example.org', NULL, NULL, NULL, 1, 2, 3, 0, 0, 'waiting', NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, 0),
    (x'ff000000000000000000000000000002', 'confirm', 'zoë', 'Z-_.!~*''()', '2001:db8::1', 'Mozilla/5.0 "ü"', 1, 2, 3, 4, 5,
     'claimed', randomblob(16), 77, NULL, 'timed out', '451 later', randomblob(8), randomblob(16), 2),
    (x'80000000000000000000000000000003', 'password_changed', 'ann@example.org', 'a', '192.0.2.1', 'curl', 1, 2, 3, 1, 0,
     'sent', NULL, NULL, 4, NULL, '250 ok' || char(9, 0) || 'queued', randomblob(8), NULL, 0),
    (x'7f000000000000000000000000000004', 'reset', 'nobody', NULL, NULL, 'a' || char(0) || 'b', 1, 2, 3, 9, 0, 'dead', NULL,
     NULL, 4, 'a' || char(0) || 'b', '550 5.1.1 "no" \ such', randomblob(8), NULL, 4294967295),
    (x'7f000000000000000000000000000005', 'reset', 'nobody', NULL, NULL, NULL, 1, 2, 3, 0, 0, 'expired', NULL, NULL, 4, '',
     NULL, NULL, NULL, 0),
    (x'7f000000000000000000000000000006', 'confirm', 'nobody', NULL, NULL, NULL, 1, 2, 3, 0, 0, 'dropped', NULL, NULL, 4,
     NULL, NULL, NULL, NULL, 0),
    (x'7f000000000000000000000000000007', 'reset', 'nobody', NULL, NULL, NULL, 1, 2, 3, 0, 0, 'superseded', NULL, NULL, 4,
     NULL, NULL, NULL, NULL, 0),
    (x'00000000000000000000000000000008', 'reset', '日本語', NULL, NULL, NULL, 1, 2, 3, 0, 0, 'claimed', randomblob(16), 1,
     NULL, NULL, NULL, NULL, NULL, 0);

INSERT INTO tokens (letter, hash, purpose, account, name_key, expires, used) VALUES
    (x'80000000000000000000000000000003', randomblob(32), 'reset', 'a', 'ann@example.org', 5, NULL),
    (x'7f000000000000000000000000000004', randomblob(32), 'confirm', 'é', 'ÿ', 5, 6),
    (x'00000000000000000000000000000001', randomblob(32), 'reset', 'B', 'Ann@example.org', 5, 0),
    (x'fffffffffffffffffffffffffffffff0', randomblob(32), 'reset', 'B', 'Ann@example.org', 5, 0);

INSERT INTO revoked_sessions (session, account, expires) VALUES
    (randomblob(32), 'a', 1), (randomblob(32), 'B', 2), (zeroblob(32), 'gone', 3), (randomblob(32), 'é', 4);

INSERT INTO audit (id, at, event, account, letter) VALUES
    (1, 10, 'account_created', 'a', NULL), (2, 11, 'letter_sent', NULL, x'80000000000000000000000000000003'),
    (700, 12, 'both', 'é', randomblob(16)), (701, 13, 'password_reset', 'B', NULL);
