// `kill -9` at the worst moments: what was answered 200 is mailed after a restart, and a copy is byte-identical.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { onlyLink, parseMail, tokenOf } from './lib/mail.mjs';
import { AFTER_A_CRASH, Installation, onPostgres } from './lib/regain.mjs';
import { ScriptedRelay, SILENCE } from './lib/relay.mjs';
import { until } from './lib/wait.mjs';

const ANN = 'ann@example.org';

/** A server with the account of ANN, whose confirmation mail has arrived, and its relay. */
async function withAccount(t, options) {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url, ...options });
  const server = await installation.serve();
  assert.equal((await server.client.register(ANN, 'first password')).status, 200);
  await relay.mail(ANN);
  await installation.letter('confirm', 'sent', (letter) => letter.state === 'sent');
  return { relay, installation, server };
}

const tokenIn = async (mail) => tokenOf(onlyLink((await parseMail(mail.raw)).text));

describe('kill -9', { concurrency: 4 }, () => {
  test('a reset that was answered is mailed though the server is killed with the answer', async (t) => {
    const { relay, installation, server } = await withAccount(t);
    await relay.refuse();
    assert.equal((await server.client.askForReset(ANN)).status, 200);
    await server.kill();

    await relay.listen();
    const restarted = await installation.serve();
    const token = await tokenIn(await relay.mail(ANN, { count: 2, ms: AFTER_A_CRASH }));
    assert.equal((await restarted.client.completeReset(token, 'second password')).status, 200);
    assert.equal((await restarted.client.signIn(ANN, 'second password')).status, 200);
  });

  test('of many requests in flight, each one answered before the kill is mailed', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const installation = await Installation.make(t, { relay: relay.url });
    const server = await installation.serve();
    const names = Array.from({ length: 12 }, (_, i) => `user${i}@example.org`);
    for (const name of names) assert.equal((await server.client.register(name, 'first password')).status, 200);
    for (const name of names) await relay.mail(name);
    await relay.refuse();

    const answered = [];
    const asking = names.map(async (name) => {
      const { status } = await server.client.askForReset(name);
      assert.equal(status, 200);
      answered.push(name);
      if (answered.length === names.length / 2) await server.kill();
    });
    await Promise.allSettled(asking);
    assert.ok(answered.length >= names.length / 2);

    await relay.listen();
    await installation.serve();
    for (const name of answered) await relay.mail(name, { count: 2, ms: AFTER_A_CRASH });
  });

  test('a letter that was claimed when the server was killed goes out right after the restart, or after its lease', async (t) => {
    const { relay, installation, server } = await withAccount(t);
    const before = relay.sessions.length;
    // Kept connections would not greet again.
    await relay.refuse();
    relay.script.greeting = SILENCE;
    await relay.listen();
    await server.client.askForReset(ANN);
    await until('a connection', () => relay.sessions.length > before);
    await installation.letter('reset', 'claimed', (letter) => letter.state === 'claimed');
    await server.kill();

    relay.behave();
    const started = performance.now();
    await installation.serve();
    await relay.mail(ANN, { count: 2, ms: AFTER_A_CRASH });
    const took = performance.now() - started;
    assert.ok(took < (onPostgres ? 60_000 : 25_000), `${took.toFixed(0)} ms: a lease is 30 s`);
  });

  test('a delivery cut off before the reply is repeated byte by byte', async (t) => {
    const { relay, installation, server } = await withAccount(t);
    relay.script.dot = SILENCE;
    await server.client.askForReset(ANN);
    const first = await until('the whole mail', () => relay.mails[1]);
    await server.kill();

    relay.behave();
    await installation.serve();
    const second = await relay.mail(ANN, { count: 2, ms: AFTER_A_CRASH });
    assert.notEqual(second, first);
    assert.deepEqual(second.raw, first.raw);
  });

  test('a mail accepted but not written down comes as a byte-identical copy, with one good link', async (t) => {
    const { relay, installation, server } = await withAccount(t);
    // The server sleeps while the relay takes responsibility, and never wakes again.
    relay.script.dot = () => server.freeze();
    await server.client.askForReset(ANN);
    const first = await relay.mail(ANN, { count: 2 });
    await server.kill();

    relay.behave();
    const restarted = await installation.serve();
    const second = await relay.mail(ANN, { count: 3, ms: AFTER_A_CRASH });
    assert.deepEqual(second.raw, first.raw);
    const letter = await installation.letter('reset', 'sent', (l) => l.state === 'sent');
    assert.equal(letter.attempts, 1);
    const token = await tokenIn(second);
    assert.equal((await restarted.client.completeReset(token, 'second password')).status, 200);
    assert.equal((await restarted.client.completeReset(token, 'third password')).status, 403);
  });

  test('a link used while its letter was under way stays used after the restart, and no copy follows', async (t) => {
    const { relay, installation, server } = await withAccount(t);
    relay.script.dot = SILENCE;
    await server.client.askForReset(ANN);
    const token = await tokenIn(await until('the whole mail', () => relay.mails[1]));
    // The notice gets no further than to be claimed, however quick the courier is.
    relay.script.mail = SILENCE;
    assert.equal((await server.client.completeReset(token, 'second password')).status, 200);
    await server.kill();

    relay.behave();
    const restarted = await installation.serve();
    await installation.letter('reset', 'superseded', (letter) => letter.state === 'superseded', AFTER_A_CRASH);
    await installation.letter('password_changed', 'sent', (letter) => letter.state === 'sent', AFTER_A_CRASH);
    assert.equal((await restarted.client.completeReset(token, 'third password')).status, 403);
    assert.equal((await restarted.client.signIn(ANN, 'second password')).status, 200);
    assert.equal(relay.mails.length, 3, 'confirmation, the reset that was cut off, the notice');
  });

  test('a stop asked for politely lets the mail in flight finish', async (t) => {
    const { relay, installation, server } = await withAccount(t);
    let stopping;
    relay.script.dot = async () => {
      stopping ??= server.stop();
      // The request to stop is under way; the answer must still be waited for.
      await until('the listener to be closed', () => fetch(`${server.url}/health`).then((r) => r.status === 503, () => true));
    };
    await server.client.askForReset(ANN);
    await relay.mail(ANN, { count: 2 });
    const { code } = await stopping;
    assert.equal(code, 0);
    const letter = await installation.letter('reset', 'sent', (l) => l.state === 'sent');
    assert.equal(letter.attempts, 1);
  });

  test('a second server on the same data path exits with a message', async (t) => {
    const { installation } = await withAccount(t);
    const second = await installation.run(['serve', '--config', installation.file]);
    assert.notEqual(second.code, 0);
    assert.match(second.stderr + second.stdout, /another/i);
  });
});
