// What happens to a letter between being asked for and being sent: repeats, changes of its account, broken rows around it,
// an operator, an upgrade.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { importAccounts, names, PASSWORD } from './lib/accounts.mjs';
import { brokenInvariants, sql, value } from './lib/database.mjs';
import { tokenIn } from './lib/mail.mjs';
import { Installation, onPostgres } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const ANN = 'ann@example.org';
const MIGRATIONS = new URL('../crates/regain-store/migrations/sqlite/', import.meta.url);

/** A server with accounts of these names, and its relay. */
async function start(t, { all = [], settings } = {}) {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url, settings });
  if (all.length > 0) await importAccounts(installation, all);
  const server = await installation.serve();
  const outbox = async (...args) => {
    const { code, stdout, stderr } = await installation.run(['outbox', ...args, '--config', installation.file]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  return { relay, installation, server, outbox, database: installation.database };
}

/** The states of all letters of a purpose, oldest first. */
const states = async ({ database }, purpose = 'reset') =>
  (await sql(database, `SELECT state FROM letters WHERE purpose = '${purpose}' ORDER BY id`)).map(({ state }) => state);

const resetsTo = (relay, name) => relay.accepted(name).filter((mail) => /subject: .*password/i.test(mail.raw.toString('latin1')));

describe('a letter', { concurrency: 4 }, () => {
  test('is one, however often each request is sent: twice at once, and again a second later', async (t) => {
    const { relay, server, database, installation } = await start(t);
    const twice = async (send) => {
      const [first, second] = await Promise.all([send(), send()]);
      await pause(1000);
      return [first, second, await send()].map(({ status }) => status);
    };
    const registered = await twice(() => server.client.register(ANN, 'first password'));
    assert.deepEqual(registered.sort(), [200, 401, 401]);
    const confirmation = tokenIn((await relay.mail(ANN)).raw);
    await installation.letter('confirm', 'sent', ({ state }) => state === 'sent');

    const confirmed = await twice(() => server.client.confirm(confirmation));
    assert.deepEqual(confirmed.sort(), [200, 403, 403]);
    const page = await fetch(`${server.url}/confirm-email`, {
      method: 'POST',
      body: new URLSearchParams({ token: confirmation }),
    });
    assert.equal(page.status, 200, 'the page takes a second click for what it is');
    assert.match(await page.text(), /already confirmed/i);
    assert.equal(JSON.parse(await installation.users(['show', ANN, '--json'])).isEmailConfirmed, true);

    assert.deepEqual(await twice(() => server.client.askForReset(ANN)), [200, 200, 200]);
    const token = tokenIn((await relay.mail(ANN, { count: 2 })).raw);
    await installation.letter('reset', 'sent', ({ state }) => state === 'sent');
    const reset = await twice(() => server.client.completeReset(token, 'second password'));
    assert.deepEqual(reset.sort(), [200, 403, 403]);
    await installation.letter('password_changed', 'sent', (letter) => letter.state === 'sent');
    assert.deepEqual(await states({ database }), ['sent']);
    await pause(1000);
    assert.equal(relay.mails.length, 3, 'one confirmation, one link, one notice');
    assert.equal((await server.client.signIn(ANN, 'second password')).status, 200);
  });

  // What happens to the account while its letter waits, and how the letter then ends.
  const CHANGES = {
    'is disabled': [async ({ installation }) => installation.users(['disable', ANN]), 'superseded'],
    'is deleted': [async ({ installation }) => installation.users(['delete', ANN, '--yes']), 'dropped'],
    'is deleted by its owner': [
      async ({ server, session }) => {
        const { identity } = session.token_data;
        const { status } = await server.client.send('DELETE', `/auth/users/${identity}`, undefined, { authorization: session.token });
        assert.equal(status, 200);
      },
      'dropped',
    ],
    'gets a new password by another link': [
      async ({ server, earlier }) => assert.equal((await server.client.completeReset(earlier, 'second password')).status, 200),
      'superseded',
    ],
    'gets a new password by its owner': [
      async ({ server, session }) => assert.equal((await server.client.changePassword(session.token, 'second password')).status, 200),
      'superseded',
    ],
  };
  for (const [change, [make, end]] of Object.entries(CHANGES)) {
    test(`is not sent where its account ${change} meanwhile`, async (t) => {
      const limits = { perClient: false, perAddress: false };
      const setting = await start(t, { all: [ANN], settings: { limits } });
      const { relay, server, installation } = setting;
      assert.equal((await server.client.askForReset(ANN)).status, 200);
      const earlier = tokenIn((await relay.mail(ANN)).raw);
      const session = (await server.client.signIn(ANN, PASSWORD)).body.refresh_token;
      await installation.letter('reset', 'sent', (letter) => letter.state === 'sent');
      await relay.refuse();
      assert.equal((await server.client.askForReset(ANN)).status, 200);
      await make({ ...setting, earlier, session });
      await relay.listen();
      await until('the letter to end', async () => (await states(setting))[1] === end);
      const { length } = await states(setting, 'password_changed');
      await until('notices to be sent', async () => (await states(setting, 'password_changed')).every((state) => state === 'sent'));
      await pause(500);
      assert.equal(relay.mails.length, 1 + length, 'nothing but the first link and the notices');
    });
  }

  test('that asks for a confirmation is not sent where the address is confirmed meanwhile', async (t) => {
    const setting = await start(t, { settings: { limits: { perClient: false, perAddress: false } } });
    const { relay, server } = setting;
    assert.equal((await server.client.register(ANN, 'first password')).status, 200);
    const token = tokenIn((await relay.mail(ANN)).raw);
    await until('the first to be settled', async () => (await states(setting, 'confirm'))[0] === 'sent');
    await relay.refuse();
    assert.equal((await server.client.askForConfirmation(ANN)).status, 200);
    assert.equal((await server.client.confirm(token)).status, 200);
    await relay.listen();
    await until('the letter to end', async () => (await states(setting, 'confirm'))[1] === 'superseded');
    await pause(500);
    assert.equal(relay.mails.length, 1);
  });

  test('that was refused for good is listed, has itself sent again with another token, and both are written down', async (t) => {
    const { relay, server, outbox, database } = await start(t, { all: [ANN] });
    relay.script.rcpt = '550 5.1.1 no such user here';
    assert.equal((await server.client.askForReset(ANN)).status, 200);
    const dead = await until('a dead letter', async () => JSON.parse(await outbox('list', '--state', 'dead', '--json'))[0]);
    assert.equal(dead.attempts, 1);
    assert.match(dead.relayReply, /550 5\.1\.1/);
    assert.match(dead.to, /^a.*@example\.org$/);
    assert.notEqual(dead.to, ANN, 'the address is masked');
    assert.ok(dead.posted && dead.ended);
    const hash = () => sql(database, `SELECT ${onPostgres ? `encode(hash, 'hex')` : 'lower(hex(hash))'} AS hash FROM tokens WHERE purpose = 'reset' ORDER BY letter`);
    const [before] = await hash();
    relay.behave();
    await outbox('retry', dead.id);
    const mail = await relay.mail(ANN);
    const token = tokenIn(mail.raw);
    assert.notEqual(createHash('sha256').update(Buffer.from(token, 'hex')).digest('hex'), before.hash);
    assert.equal((await server.client.completeReset(token, 'second password')).status, 200);
    assert.deepEqual((await sql(database, 'SELECT event FROM audit WHERE letter IS NOT NULL')).map(({ event }) => event), ['letter_replaced']);
  });
});

const LINE_BREAK = onPostgres ? 'chr(13) || chr(10)' : 'char(13, 10)';
/** What lets rows be broken. */
const UNCHECKED = onPostgres
  ? 'ALTER TABLE letters DROP CONSTRAINT letters_attempts_check; ALTER TABLE accounts DROP CONSTRAINT accounts_kept_session_check'
  : 'PRAGMA ignore_check_constraints = ON';

/** Rows that no version of Regain writes, in the outbox among good ones. */
const POISON = {
  'a client address that is none': `UPDATE letters SET ip = 'not an address' WHERE name_key = 'poison0@example.org'`,
  'a mail address with a line break': `UPDATE accounts SET address = 'a' || ${LINE_BREAK} || 'Bcc: b@example.com' WHERE name_key = 'poison1@example.org'`,
  'a mail address that is none': `UPDATE accounts SET address = 'nobody' WHERE name_key = 'poison2@example.org'`,
  'metadata of another shape': `UPDATE accounts SET metadata = '[1]' WHERE name_key = 'poison3@example.org'`,
  'a session of another length': `UPDATE accounts SET kept_session = ${onPostgres ? `'\\x00'` : `x'00'`} WHERE name_key = 'poison4@example.org'`,
  'more attempts than there are': `UPDATE letters SET attempts = -1 WHERE name_key = 'poison5@example.org'`,
};

test('broken rows in the outbox hold nobody up: a hundred good letters go out, the broken ones are dead and can be seen', async (t) => {
  const { relay, server, outbox, installation, database } = await start(t, { all: names(100) });
  const poison = names(Object.keys(POISON).length, 'poison');
  await importAccounts(installation, poison);
  await relay.refuse();
  for (const name of [...poison, ...names(100)]) assert.equal((await server.client.askForReset(name)).status, 200);
  await sql(database, `${UNCHECKED}; ${Object.values(POISON).join(';')};`);
  await relay.listen();
  await until('the good ones', () => names(100).every((name) => relay.accepted(name).length === 1));
  await until('the broken ones to end', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 0);
  for (const name of ['sick@example.org', 'well@example.org']) assert.equal((await server.client.register(name, 'first password')).status, 200);
  await relay.mail('well@example.org');
  const health = await server.client.send('GET', '/health');
  assert.deepEqual([health.status, health.body.status], [200, 'ok']);
  const ended = await sql(database, `SELECT name_key, state, last_error FROM letters WHERE name_key LIKE 'poison%' ORDER BY name_key`);
  t.diagnostic(JSON.stringify(ended));
  for (const { state, last_error: why } of ended) assert.ok(state === 'sent' || (state === 'dead' && why), JSON.stringify(ended));
  assert.ok(ended.filter(({ state }) => state === 'dead').length >= 3);
  const listed = JSON.parse(await outbox('list', '--limit', '1000', '--json'));
  assert.equal(listed.length, 107, 'every letter that can be read is listed');
});

// The first release had a file alone.
test('an outbox of the first release, full, is sent by this version; a purpose that it does not know is held', { skip: onPostgres }, async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  await mkdir(installation.data, { mode: 0o700 });
  const { database } = installation;
  const released = ['0001_schema', '0002_deleted_accounts'];
  const texts = await Promise.all(released.map((name) => readFile(new URL(`${name}.sql`, MIGRATIONS), 'utf8')));
  const hashes = texts.map((text) => createHash('sha256').update(text).digest('hex'));
  const now = 'unixepoch() * 1000';
  // As that version left it: fresh letters, one put off, one claimed by a process that is gone, sent ones with their tokens.
  await sql(database, `PRAGMA journal_mode = WAL; BEGIN;
    CREATE TABLE migrations (number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, sha256 BLOB NOT NULL, applied INTEGER NOT NULL) STRICT;
    ${texts.join('\n')}
    INSERT INTO migrations VALUES ${released.map((name, i) => `(${i + 1}, '${name}', x'${hashes[i]}', ${now})`).join()};
    INSERT INTO meta (key, value) VALUES ('key_mode', 'folded'), ('made', ${now});
    INSERT INTO accounts (id, name, name_key, address, password, created)
      SELECT 'account-' || value, 'User' || value || '@example.org', 'user' || value || '@example.org', 'User' || value || '@example.org', NULL, ${now}
      FROM generate_series(0, 99);
    INSERT INTO letters (id, purpose, name_key, account, ip, agent, posted, deadline, due)
      SELECT randomblob(16), iif(value % 3, 'reset', iif(value % 2, 'confirm', 'password_changed')),
        'user' || value || '@example.org', iif(value % 5, NULL, 'account-' || value), '192.0.2.' || value, 'Old/1.0 (' || value || ')',
        ${now} - value, ${now} + 3000000, ${now} - value FROM generate_series(0, 99);
    UPDATE letters SET due = ${now} + 2000, attempts = 1, last_error = 'later', relay_reply = '451 4.3.0' WHERE name_key = 'user7@example.org';
    UPDATE letters SET state = 'claimed', claim = randomblob(16), lease = ${now} + 30000, account = 'account-8' WHERE name_key = 'user8@example.org';
    INSERT INTO letters (id, purpose, name_key, account, posted, deadline, due, attempts, state, ended, token_key)
      SELECT randomblob(16), 'reset', name_key, id, ${now} - 200000, ${now}, ${now} - 200000, 1, 'sent', ${now} - 200000, x'0102030405060708' FROM accounts;
    INSERT INTO tokens (letter, hash, purpose, account, name_key, expires)
      SELECT id, randomblob(32), purpose, account, name_key, ${now} + 3000000 FROM letters WHERE state = 'sent';
    COMMIT;`);
  const server = await installation.serve();
  // A later version with the same schema may have been here, too.
  await sql(database, `PRAGMA ignore_check_constraints = ON; INSERT INTO letters (id, purpose, name_key, posted, deadline, due)
    VALUES (randomblob(16), 'carrier_pigeon', 'user0@example.org', ${now}, ${now} + 3000000, ${now});`);
  const all = names(100);
  await until('a mail for each', () => all.every((name) => relay.mails.some((mail) => mail.accepted && mail.to[0].toLowerCase() === name)), 120_000);
  await until('all but one to be settled', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 1);
  assert.equal(relay.mails.length, 100);
  assert.deepEqual(await sql(database, `SELECT state, attempts FROM letters WHERE purpose = 'carrier_pigeon'`), [{ state: 'waiting', attempts: 0 }]);
  assert.deepEqual(await sql(database, `SELECT attempts FROM letters WHERE name_key = 'user7@example.org' AND last_error IS NULL AND attempts = 2`), [{ attempts: 2 }]);
  const health = await server.client.send('GET', '/health');
  assert.equal(health.status, 200);
  assert.equal((await server.client.askForReset('user1@example.org')).status, 200);
  const links = relay.mails.filter((mail) => mail.raw.includes('reset-password'));
  const { status } = await server.client.completeReset(tokenIn(links.at(-1).raw), 'first password');
  assert.equal(status, 200);
  assert.equal((await installation.run(['outbox', 'list', '--config', installation.file])).code, 0);
  await sql(database, `DELETE FROM letters WHERE purpose = 'carrier_pigeon'`);
  assert.deepEqual(await brokenInvariants(database), {});
});
