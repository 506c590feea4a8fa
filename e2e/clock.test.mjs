// Clocks that jump while the program runs and between two runs. libfaketime sets the wall clock of the program alone; the monotonic clock goes on, as when an administrator or NTP sets the time.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { importAccounts, inParallel, names } from './lib/accounts.mjs';
import { Clock } from './lib/clock.mjs';
import { brokenInvariants, value } from './lib/database.mjs';
import { tokenIn } from './lib/mail.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { until } from './lib/wait.mjs';

const [ANN, BEN] = ['ann@example.org', 'ben@example.org'];
const HOUR = 3600;

/** An installation with a clock, accounts of these names, links that are good for ten minutes, and its relay. */
async function make(t, all) {
  const relay = await ScriptedRelay.start(t);
  const settings = { resetTokenLifetime: 600, limits: { perClient: false, perAddress: false } };
  const installation = await Installation.make(t, { relay: relay.url, settings });
  await importAccounts(installation, all);
  const clock = new Clock(installation.directory);
  await clock.set(0);
  return { relay, installation, clock, serve: () => installation.serve({ env: clock.env }), database: installation.database };
}

/** How far the program's wall clock is ahead, in seconds, as the last line of its log tells. */
function ahead({ output }) {
  const [last] = [...output.matchAll(/^\d{4}-\d\d-\d\dT[\d:.]+Z/gm)].slice(-1);
  return Math.round((Date.parse(last[0]) - Date.now()) / 1000);
}

const near = (seconds, wanted) => Math.abs(seconds - wanted) < 30;
const ask = (server, name) => server.client.askForReset(name).then(({ status }) => assert.equal(status, 200));

describe('a clock', { concurrency: 3 }, () => {
  for (const [direction, step] of [['ahead', HOUR], ['back', -HOUR]]) {
    test(`that is set an hour ${direction} while the program runs changes nothing`, async (t) => {
      const { relay, clock, serve, installation, database } = await make(t, [ANN, BEN, ...names(20)]);
      const server = await serve();
      await ask(server, BEN);
      const used = tokenIn((await relay.mail(BEN)).raw);
      assert.equal((await server.client.completeReset(used, 'second password')).status, 200);
      await installation.letter('password_changed', 'sent', (letter) => letter.state === 'sent');
      await ask(server, ANN);
      const unused = tokenIn((await relay.mail(ANN)).raw);
      await relay.refuse();
      await inParallel(names(20), 4, (name) => ask(server, name));
      await until('a fault of the relay', async () => (await server.client.send('GET', '/health')).body.status === 'degraded');

      await clock.set(step);
      await until('the program to see it', () => near(ahead(server), step));
      await relay.listen();
      // Neither does anything expire nor is anything parked.
      await until('the mails', () => names(20).every((name) => relay.accepted(name).length === 1), 120_000);
      assert.equal((await server.client.completeReset(used, 'third password')).status, 403, 'used stays used');
      assert.equal((await server.client.completeReset(unused, 'second password')).status, 200, 'and good stays good');
      await ask(server, BEN);
      await relay.mail(BEN, { count: 3 });
      assert.equal(await value(database, `SELECT count(*) FROM letters WHERE state IN ('expired', 'dead')`), 0);
      assert.deepEqual(await brokenInvariants(database), {});
    });
  }

  test('that is set an hour back between two runs parks nothing and revives no link', async (t) => {
    const { relay, clock, serve, database } = await make(t, [ANN, BEN, ...names(20)]);
    await clock.set(HOUR);
    const first = await serve();
    assert.ok(near(ahead(first), HOUR));
    await ask(first, BEN);
    const used = tokenIn((await relay.mail(BEN)).raw);
    assert.equal((await first.client.completeReset(used, 'second password')).status, 200);
    await relay.mail(BEN, { count: 2 });
    // One that is put off: an hour from now is when it would be due.
    relay.script.rcpt = '451 4.7.1 later';
    await ask(first, ANN);
    await until('a letter put off', async () => (await value(database, `SELECT count(*) FROM letters WHERE attempts = 1 AND state = 'waiting'`)) === 1);
    await relay.refuse();
    await inParallel(names(20), 4, (name) => ask(first, name));
    await first.stop();

    await clock.set(0);
    relay.behave();
    await relay.listen();
    const second = await serve();
    assert.ok(near(ahead(second), 0));
    await until('the mails', () => [ANN, ...names(20)].every((name) => relay.accepted(name).length === 1), 120_000);
    assert.equal((await second.client.completeReset(used, 'third password')).status, 403);
    assert.equal((await second.client.signIn(BEN, 'second password')).status, 200);
    await ask(second, BEN);
    await relay.mail(BEN, { count: 3 });
    assert.equal(await value(database, `SELECT count(*) FROM letters WHERE state IN ('expired', 'dead')`), 0);
  });

  test('that is set an hour ahead between two runs ends what has had its time, and nothing else', async (t) => {
    const { relay, clock, serve, database } = await make(t, [ANN, BEN]);
    const first = await serve();
    await ask(first, BEN);
    const unused = tokenIn((await relay.mail(BEN)).raw);
    await relay.refuse();
    await ask(first, ANN);
    await first.stop();

    await clock.set(HOUR);
    await relay.listen();
    const second = await serve();
    await until('the letter to expire', async () => (await value(database, `SELECT count(*) FROM letters WHERE state = 'expired'`)) === 1);
    assert.equal((await second.client.completeReset(unused, 'second password')).status, 403);
    assert.equal(relay.accepted(ANN).length, 0);
    await ask(second, ANN);
    const token = tokenIn((await relay.mail(ANN)).raw);
    assert.equal((await second.client.completeReset(token, 'second password')).status, 200);
    await second.stop();

    // And back: what was used meanwhile stays used.
    await clock.set(0);
    const third = await serve();
    assert.equal((await third.client.completeReset(token, 'third password')).status, 403);
    assert.equal((await third.client.signIn(ANN, 'second password')).status, 200);
  });
});
