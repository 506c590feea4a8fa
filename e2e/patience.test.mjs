// What takes half a minute or more by its nature, all at once: leases, the time of grace, greylisting, clearing away.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { importAccounts, inParallel, names, PASSWORD } from './lib/accounts.mjs';
import { sql, value } from './lib/database.mjs';
import { FailPoints } from './lib/faults.mjs';
import { tokenIn } from './lib/mail.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay, SILENCE } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const ANN = 'ann@example.org';

/** A server with accounts of these names, and its relay. */
async function start(t, all, env = {}) {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  await importAccounts(installation, all);
  const server = await installation.serve({ env });
  const { database } = installation;
  const ask = (name) => server.client.askForReset(name).then(({ status }) => assert.equal(status, 200));
  const states = () => sql(database, 'SELECT state, attempts, count(*) AS n FROM letters GROUP BY 1, 2 ORDER BY 1, 2');
  return { relay, installation, server, ask, states, database };
}

describe('in its own time', { concurrency: true }, () => {
  test('a mailbox that is greylisted has its mail after a minute, the others have theirs at once', async (t) => {
    const all = names(20);
    const first = new Map();
    const rcpt = (session) => {
      const to = session.commands.at(-1);
      if (!to.includes(ANN)) return undefined;
      if (!first.has(to)) first.set(to, performance.now());
      return performance.now() - first.get(to) > 40_000 ? undefined : '450 4.7.1 greylisted';
    };
    const { relay, ask, states } = await start(t, [ANN, ...all]);
    relay.script.rcpt = rcpt;
    await ask(ANN);
    await until('the first try', () => first.size > 0);
    await inParallel(all, 8, ask);
    await until('the others', () => all.every((name) => relay.accepted(name).length === 1));
    await relay.mail(ANN, { ms: 180_000 });
    assert.ok(performance.now() - [...first.values()][0] >= 59_000, 'not before a minute has passed');
    await until('all to be settled', async () => (await states()).every(({ state }) => state === 'sent'));
    assert.deepEqual(await states(), [{ state: 'sent', attempts: 1, n: 20 }, { state: 'sent', attempts: 2, n: 1 }]);
  });

  test('a process that sleeps longer than its lease in the middle of a delivery: one copy more at most, and one end', async (t) => {
    const { relay, installation, server, ask, database } = await start(t, [ANN]);
    let slept = false;
    relay.script.dot = async () => {
      if (slept) return;
      slept = true;
      await server.freeze();
      const second = await installation.run(['serve', '--config', installation.file]);
      assert.notEqual(second.code, 0, 'nobody takes its place while it sleeps');
      await pause(35_000);
      server.thaw();
    };
    await ask(ANN);
    await until('the end of the letter', async () => slept && (await value(database, 'SELECT state FROM letters')) === 'sent', 180_000);
    await pause(3000);
    assert.equal(await value(database, 'SELECT state FROM letters'), 'sent', 'it stays so');
    const copies = relay.accepted(ANN);
    assert.ok(copies.length === 1 || copies.length === 2, `${copies.length} copies`);
    for (const copy of copies) assert.deepEqual(copy.raw, copies[0].raw);
    assert.equal(await value(database, 'SELECT attempts FROM letters'), 1);
    const token = tokenIn(copies[0].raw);
    assert.equal((await server.client.completeReset(token, 'second password')).status, 200);
    assert.equal((await server.client.completeReset(token, 'third password')).status, 403);
  });

  test('a stop while a relay does not answer ends with the time of grace, and the next start sends one copy more at most', async (t) => {
    const { relay, installation, server, ask, database } = await start(t, [ANN]);
    relay.script.dot = SILENCE;
    await ask(ANN);
    await until('the mail', () => relay.mails.length === 1);
    const begun = performance.now();
    const { code } = await server.stop();
    const took = performance.now() - begun;
    assert.equal(code, 0);
    assert.ok(took > 20_000 && took < 50_000, `${took.toFixed(0)} ms`);

    relay.behave();
    await installation.serve();
    await until('the letter to be sent', async () => (await value(database, 'SELECT state FROM letters')) === 'sent');
    assert.equal(relay.mails.length, 2);
    assert.deepEqual(relay.mails[1].raw, relay.mails[0].raw);
  });

  test('a courier that panics at one letter holds up no other one, and that letter is sent after its lease', async (t) => {
    const points = await FailPoints.make();
    const { relay, server, ask } = await start(t, [ANN], points.env);
    await points.arm('courier.claimed', 'panic 1');
    await ask(ANN);
    await points.reached('courier.claimed');
    assert.equal((await server.client.register('ben@example.org', 'first password')).status, 200);
    await relay.mail('ben@example.org');
    assert.equal(relay.accepted(ANN).length, 0);
    await relay.mail(ANN, { ms: 120_000 });
  });

  test('old rows are removed a few at a time while requests go on, and young ones stay', async (t) => {
    const installation = await Installation.make(t, { mail: null });
    await importAccounts(installation, [ANN]);
    const { database } = installation;
    const days = (count) => `(unixepoch() - ${count * 86_400}) * 1000`;
    const letters = (count, state, age) => `
      INSERT INTO letters (id, purpose, name_key, account, posted, deadline, due, attempts, state, ended)
      SELECT randomblob(16), 'reset', 'old' || value || '${state}@example.org', 'old', ${days(age)}, ${days(age)}, ${days(age)}, 1, '${state}', ${days(age)}
      FROM generate_series(1, ${count});`;
    await sql(database, `BEGIN;
      ${letters(20_000, 'sent', 31)} ${letters(1000, 'dead', 31)} ${letters(500, 'dropped', 1)}
      ${letters(300, 'sent', 29)} ${letters(40, 'expired', 1)}
      INSERT INTO tokens (letter, hash, purpose, account, name_key, expires, used)
      SELECT id, randomblob(32), purpose, account, name_key, posted, iif(posted % 2, posted, NULL) FROM letters WHERE state = 'sent';
      INSERT INTO revoked_sessions (session, account, expires) SELECT randomblob(32), 'old', ${days(1)} FROM generate_series(1, 700);
      INSERT INTO revoked_sessions (session, account, expires) VALUES (randomblob(32), 'old', ${days(-1)});
      INSERT INTO audit (at, event, account) SELECT ${days(401)}, 'tested', 'old' FROM generate_series(1, 900);
      COMMIT;`);
    const count = async () => Object.values((await sql(database, `SELECT
      (SELECT count(*) FROM letters), (SELECT count(*) FROM tokens), (SELECT count(*) FROM revoked_sessions),
      (SELECT count(*) FROM audit WHERE account = 'old')`))[0]);
    assert.deepEqual(await count(), [21_840, 20_300, 701, 900]);
    const server = await installation.serve({ env: { REGAIN_LOG: 'debug' } });
    const batches = () => [...server.output.matchAll(/old rows were removed.*rows=(\d+)/g)].map((match) => Number(match[1]));
    const removed = () => batches().reduce((sum, rows) => sum + rows, 0);
    const old = 21_500 + 20_000 + 700 + 900;
    const request = async () => {
      const begun = performance.now();
      assert.equal((await server.client.askForReset('nobody@example.org')).status, 501);
      assert.equal((await server.client.signIn(ANN, PASSWORD)).status, 200);
      return performance.now() - begun;
    };
    const usual = [];
    // The first clearing comes after a minute.
    while (usual.length < 10 && removed() === 0) usual.push(await request());
    await until('the clearing to begin', () => removed() > 0, 180_000);
    const times = [];
    let meanwhile = 0;
    while (removed() < old) {
      times.push(await request());
      if (removed() < old) meanwhile += 1;
      assert.ok(times.length < 5000, `${removed()} of ${old} rows`);
    }
    assert.deepEqual(await count(), [340, 300, 1, 0]);
    assert.ok(Math.max(...batches()) <= 5 * 500, `one batch had ${Math.max(...batches())} rows`);
    const [before, after] = [usual, times].map((all) => Math.max(...all));
    t.diagnostic(`${batches().length} batches; ${meanwhile} sign-ins meanwhile took at most ${after.toFixed(0)} ms, before that ${before.toFixed(0)} ms`);
    assert.ok(meanwhile >= 1 && after < 2000 + 5 * before, `${usual}; ${times}`);
  });
});
