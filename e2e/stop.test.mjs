// Being told to stop: what is under way is finished, what is not begun waits for the next start, and nobody holds it up.

import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';

import { importAccounts, inParallel, names } from './lib/accounts.mjs';
import { sql, value } from './lib/database.mjs';
import { AFTER_A_CRASH, Installation, Running } from './lib/regain.mjs';
import { ScriptedRelay, SILENCE } from './lib/relay.mjs';
import { pause, until, within } from './lib/wait.mjs';

const ANN = 'ann@example.org';

/** A server with accounts of these names, and its relay. */
async function start(t, all) {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  await importAccounts(installation, all);
  const server = await installation.serve();
  const ask = (name) => server.client.askForReset(name).then(({ status }) => assert.equal(status, 200));
  return { relay, installation, server, ask, database: installation.database };
}

/** A connection on which these bytes were sent, and nothing more. */
async function connection(t, port, bytes) {
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(bytes);
  return socket;
}

describe('a stop', { concurrency: 4 }, () => {
  test('while a relay takes its time: what is under way is delivered, the rest by the next start, all once', async (t) => {
    const all = names(40);
    const { relay, installation, server, ask, database } = await start(t, all);
    let answer;
    const answered = new Promise((resolve) => (answer = resolve));
    relay.script.dot = () => answered;
    await inParallel(all, 8, ask);
    await until('mails under way', () => relay.mails.length > 0);
    const stopping = server.stop();
    await until('the word to be heard', () => /stopping/.test(server.output));
    // It would have begun others by then.
    await pause(1000);
    answer();
    assert.equal((await stopping).code, 0);
    const sent = relay.mails.length;
    assert.ok(relay.mails.every((mail) => mail.accepted));
    assert.deepEqual(await sql(database, 'SELECT state, count(*) AS n FROM letters GROUP BY 1 ORDER BY 1'), [
      { state: 'sent', n: sent }, { state: 'waiting', n: all.length - sent },
    ], 'no claim is left behind');

    relay.behave();
    await installation.serve();
    await until('the rest', () => all.every((name) => relay.accepted(name).length > 0));
    assert.equal(relay.mails.length, all.length);
  });

  test('asked for twice is at once', async (t) => {
    const { relay, installation, server, ask, database } = await start(t, [ANN]);
    relay.script.dot = SILENCE;
    await ask(ANN);
    await until('the mail', () => relay.mails.length === 1);
    server.child.kill('SIGTERM');
    await until('the first to be heard', () => /stopping/.test(server.output));
    const begun = performance.now();
    server.child.kill('SIGTERM');
    const { code } = await within(60_000, 'end', server.ended);
    assert.equal(code, 128 + 15);
    const took = performance.now() - begun;
    assert.ok(took < 15_000, `${took.toFixed(0)} ms: the time of grace is longer`);
    relay.behave();
    await installation.serve();
    await until('the letter to be sent', async () => (await value(database, 'SELECT state FROM letters')) === 'sent', AFTER_A_CRASH);
    assert.deepEqual(relay.mails[1].raw, relay.mails[0].raw);
  });

  test('is not held up by clients that are half there, and answers those that are', async (t) => {
    const { server } = await start(t, [ANN]);
    const head = 'Host: localhost\r\nContent-Type: application/json\r\n';
    const whole = `GET /health HTTP/1.1\r\n${head}\r\n`;
    const idle = await connection(t, server.port, whole);
    await new Promise((resolve) => idle.once('data', resolve));
    await connection(t, server.port, '');
    await connection(t, server.port, `POST /auth/password/updateAccount HTTP/1.1\r\nHost: loc`);
    await connection(t, server.port, `POST /auth/password/updateAccount HTTP/1.1\r\n${head}Content-Length: 500\r\n\r\n{"provider_id"`);
    const deaf = await connection(t, server.port, whole.repeat(50));
    deaf.pause();
    // Hashing a password takes its time.
    const requests = Array.from({ length: 8 }, (_, i) => server.client.register(`new${i}@example.org`, 'first password'));
    const registering = Promise.allSettled(requests);
    // When the first is answered, the others are there.
    await Promise.any(requests);
    const begun = performance.now();
    const { code } = await server.stop();
    const took = performance.now() - begun;
    assert.equal(code, 0);
    assert.ok(took < 20_000, `${took.toFixed(0)} ms: the time of grace is 25 s`);
    const answers = await registering;
    // One that was not on the wire yet may find nobody; one that was is answered, whatever the answer.
    assert.ok(answers.filter(({ value: answer }) => answer?.status === 200).length >= 4, JSON.stringify(answers.map(({ status, value: a }) => a?.status ?? status)));
  });
});

test('in the middle of a start that waits for its database is at once', async (t) => {
  // Takes connections and says nothing.
  const silent = net.createServer((socket) => socket.on('error', () => {}));
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => silent.close());
  const connected = new Promise((resolve) => silent.once('connection', (socket) => resolve(t.after(() => socket.destroy()))));
  const database = `postgres://regain@127.0.0.1:${silent.address().port}/regain`;
  const installation = await Installation.make(t, { mail: null, database });
  const server = new Running(t, ['serve', '--config', installation.file], { cwd: installation.directory, url: installation.url });
  await within(60_000, 'its connection', connected);
  assert.deepEqual(await server.stop({ ms: 5000 }), { code: 0, signal: null });
});
