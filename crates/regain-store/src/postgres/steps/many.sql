-- Many rows of each kind, as a server has them: most letters sent, few open.
INSERT INTO accounts (id, name, name_key, address, password, is_admin, is_confirmed, is_disabled, created)
SELECT md5(i::text), n, n, n, 'hash', i % 1000 = 0, i % 3 > 0, i % 500 = 0, 1795000000000 + i
FROM (SELECT i, 'a' || i || '@example.org' AS n FROM generate_series(1, 50000) i) numbers;

INSERT INTO letters (id, purpose, name_key, account, posted, deadline, due, state, claim, lease, ended, relay_reply)
SELECT substr(int8send(1795000000000 + i), 3) || substr(decode(md5(i::text), 'hex'), 1, 10),
       (ARRAY['reset', 'confirm', 'password_changed'])[1 + i % 3], 'a' || i % 50000 || '@example.org', NULL,
       1795000000000 + i, 1795003600000 + i, 1795000000000 + i, state,
       CASE WHEN state = 'claimed' THEN decode(md5('claim'), 'hex') END,
       CASE WHEN state = 'claimed' THEN 1795000000000 + i END,
       CASE WHEN state NOT IN ('waiting', 'claimed') THEN 1795000001000 + i END, '550 5.1.1 no'
FROM (SELECT i, CASE WHEN i % 100 = 0 THEN 'dead' WHEN i % 101 = 0 THEN 'expired' WHEN i % 102 = 0 THEN 'superseded'
                     WHEN i % 103 = 0 THEN 'dropped' WHEN i % 104 = 0 THEN 'waiting' WHEN i % 1000 = 1 THEN 'claimed'
                     ELSE 'sent' END AS state
      FROM generate_series(1, 100000) i) numbers;

INSERT INTO tokens (letter, hash, purpose, account, name_key, expires, used)
SELECT substr(int8send(1795000000000 + i), 3) || substr(decode(md5(i::text), 'hex'), 1, 10), sha256(i::text::bytea),
       'reset', md5((i % 50000)::text), 'a' || i % 50000 || '@example.org', 1795003600000 + i,
       CASE WHEN i % 10 > 0 THEN 1795000002000 + i END
FROM generate_series(1, 50000) i;

INSERT INTO revoked_sessions (session, account, expires)
SELECT sha256(i::text::bytea), md5(i::text), 1795000000000 + i FROM generate_series(1, 20000) i;
INSERT INTO deleted_accounts (id, generation) SELECT md5(i::text), 1 FROM generate_series(50001, 70000) i;
INSERT INTO audit (at, event, account)
SELECT 1795000000000 + i, 'registered', md5(i::text) FROM generate_series(1, 50000) i;
ANALYZE;
