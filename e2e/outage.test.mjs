// Relays that are gone, refuse everybody or drag, with a queue behind them: nothing is lost, nothing is charged to a letter
// that is not its own fault, and requests are served as ever. `relay.test.mjs` has what happens to a single letter.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { importAccounts, inParallel, names } from './lib/accounts.mjs';
import { makeCertificates, moreCertificates } from './lib/certificates.mjs';
import { sql } from './lib/database.mjs';
import { temporaryDirectory } from './lib/place.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay, SILENCE } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const ANN = 'ann@example.org';
const BEN = 'ben@example.com';

/** A server with accounts of these names, and its relay. */
async function start(t, { all = [], script = {}, query = '', login = '', settings, env, ...options } = {}) {
  const relay = await ScriptedRelay.start(t, options);
  relay.script = script;
  const installation = await Installation.make(t, { relay: `smtp://${login}localhost:${relay.port}${query}`, settings });
  if (all.length > 0) await importAccounts(installation, all);
  const server = await installation.serve({ env });
  const setting = { relay, installation, server, database: installation.database };
  return { ...setting, ask: (some) => ask(setting, some), states: () => states(setting) };
}

/** Asks for a reset for each of these names; all requests are answered 200. */
const ask = ({ server }, some) => inParallel(some, 8, async (name) => assert.equal((await server.client.askForReset(name)).status, 200));

/** How many letters there are in which state with how many attempts. */
const states = ({ database }) => sql(database, 'SELECT state, attempts, count(*) AS n FROM letters GROUP BY 1, 2 ORDER BY 1, 2');

/** All `count` letters are open, and charged nothing: they wait, or one is being tried just now. */
async function noneIsCharged({ states }, count) {
  const found = await states();
  assert.ok(found.every(({ state, attempts }) => ['waiting', 'claimed'].includes(state) && attempts === 0), JSON.stringify(found));
  assert.equal(found.reduce((sum, { n }) => sum + n, 0), count);
}

/** Waits until each of these names has exactly one mail. */
async function eachHasOne({ relay, states }, some, ms = 120_000) {
  await until('all mails', () => some.every((name) => relay.accepted(name).length > 0), ms);
  await until('all letters to be settled', async () => (await states()).every(({ state }) => state === 'sent'));
  assert.equal(relay.mails.filter((mail) => mail.accepted).length, some.length);
}

const health = async ({ server }) => (await server.client.send('GET', '/health')).body?.status;
const isDegraded = (setting, ms) => until('degraded health', async () => (await health(setting)) === 'degraded', ms);

describe('with a queue behind it', { concurrency: true }, () => {
  describe('an outage', { concurrency: 4 }, () => {
    test('in which the relay refuses connections: 300 requests are kept and each is mailed once', async (t) => {
      const all = names(300);
      const setting = await start(t, { all });
      await setting.relay.refuse();
      await setting.ask(all);
      await isDegraded(setting);
      await pause(3000);
      await noneIsCharged(setting, 300);
      await setting.relay.listen();
      await eachHasOne(setting, all);
      assert.deepEqual(await setting.states(), [{ state: 'sent', attempts: 1, n: 300 }]);
      await until('good health', async () => (await health(setting)) === 'ok');
    });

    test('in which the name of the relay is not known: letters wait', async (t) => {
      const installation = await Installation.make(t, { relay: 'smtp://relay.invalid?requireTLS=false' });
      const server = await installation.serve();
      assert.equal((await server.client.register(ANN, 'first password')).status, 200);
      const held = await installation.letter('confirm', 'held back', (l) => l.state === 'waiting' && l.lastError);
      assert.equal(held.attempts, 0);
      await isDegraded({ server });
    });

    test('that is there before the start: it starts, serves and waits', async (t) => {
      const relay = await ScriptedRelay.start(t);
      await relay.refuse();
      const installation = await Installation.make(t, { relay: relay.url });
      const server = await installation.serve();
      assert.equal(await health({ server }), 'ok', 'nothing is known of the relay yet');
      assert.equal((await server.client.register(ANN, 'first password')).status, 200);
      assert.equal((await server.client.signIn(ANN, 'first password')).status, 200);
      await isDegraded({ server });
      await relay.listen();
      await relay.mail(ANN);
      assert.equal(relay.accepted(ANN).length, 1);
    });

    test('of 421: fifty letters are charged nothing, and the relay is asked ever more rarely by one connection', async (t) => {
      const all = names(50);
      const setting = await start(t, { all, script: { greeting: '421 4.3.2 shutting down' } });
      await setting.ask(all);
      await isDegraded(setting);
      const begun = performance.now();
      const before = setting.relay.sessions.length;
      await pause(10_000);
      // One at a time, ever more rarely: after 1, 3 and 7 seconds, a little sooner for jitter; and the first ones under way.
      const more = setting.relay.sessions.length - before;
      const steps = Math.ceil(Math.log2((performance.now() - begun) / 750 + 1));
      assert.ok(before <= 12 && more <= steps + 5, `${before} connections at first, ${more} more in 10 s`);
      await noneIsCharged(setting, 50);
      setting.relay.behave();
      await eachHasOne(setting, all);
      assert.deepEqual(await setting.states(), [{ state: 'sent', attempts: 1, n: 50 }]);
    });

    test('of 535: three hundred letters wait for the login to be mended, loudly, and none is dead', async (t) => {
      const all = names(300);
      const setting = await start(t, { all, script: { auth: '535 5.7.8 no' }, auth: true, login: 'mailer:t0p-secret@' });
      await setting.ask(all);
      await isDegraded(setting);
      const logins = () => setting.relay.sessions.flatMap((s) => s.commands).filter((line) => line.startsWith('AUTH')).length;
      const burst = logins();
      await pause(6000);
      assert.ok(logins() - burst <= 6, `${logins() - burst} more logins in 6 s`);
      await noneIsCharged(setting, 300);
      assert.match(setting.server.output, /ERROR.*the relay refuses.*535/);
      setting.relay.behave();
      await eachHasOne(setting, all);
    });

    for (const [phase, reply] of [['mail', '530 5.7.0 authentication required'], ['data', '554 5.7.1 no mail from you']]) {
      test(`of ${reply.slice(0, 3)} to ${phase.toUpperCase()}: the relay is at fault, and no letter is dead`, async (t) => {
        const all = names(20);
        const setting = await start(t, { all, script: { [phase]: reply } });
        await setting.ask(all);
        await isDegraded(setting);
        await noneIsCharged(setting, 20);
        setting.relay.behave();
        await eachHasOne(setting, all);
      });
    }

    test('in which the relay denies every recipient by policy kills no letter, and stops asking', async (t) => {
      const all = Array.from({ length: 40 }, (_, i) => `user${i}@domain${i % 8}.example`);
      const setting = await start(t, { all, script: { rcpt: '550 5.7.1 relaying denied' } });
      await setting.ask(all);
      await isDegraded(setting);
      const asked = () => setting.relay.sessions.flatMap((s) => s.commands).filter((line) => line.startsWith('RCPT')).length;
      await pause(2000);
      const before = asked();
      await pause(5000);
      assert.ok(asked() - before <= 8, `${asked() - before} more recipients in 5 s`);
      assert.ok((await setting.states()).every(({ state }) => state === 'waiting' || state === 'claimed'));
      setting.relay.behave();
      await eachHasOne(setting, all);
    });

    test('in which fifty people-in-a-hurry ask for one address: one mail', async (t) => {
      const setting = await start(t, { all: [ANN] });
      await setting.relay.refuse();
      await setting.ask(Array(50).fill(ANN));
      // It may be tried just now.
      await setting.installation.letter('reset', 'waiting', ({ state }) => state === 'waiting');
      assert.deepEqual((await setting.installation.letters()).map(({ repeats }) => repeats), [49]);
      await setting.relay.listen();
      await eachHasOne(setting, [ANN]);
      await pause(1000);
      assert.equal(setting.relay.mails.length, 1);
    });

    test('that outlasts a link: the letter expires unsent, and asking again works at once', async (t) => {
      const setting = await start(t, { all: [ANN, BEN], settings: { resetTokenLifetime: 3600 } });
      await setting.relay.refuse();
      await setting.ask([ANN]);
      await isDegraded(setting);
      // An hour passes.
      await sql(setting.database, 'UPDATE letters SET posted = posted - 3600000, deadline = deadline - 3600000, due = due - 3600000');
      await setting.relay.listen();
      await setting.installation.letter('reset', 'expired', (letter) => letter.state === 'expired');
      assert.equal(setting.relay.mails.length, 0);
      await setting.ask([ANN]);
      await setting.relay.mail(ANN);
      await until('the new letter to be sent', async () => (await setting.states()).map(({ state }) => state).join() === 'expired,sent');
    });
  });

  /** Writes `piece` again and again until the other side has enough; awaited by nobody. */
  function stream(socket, piece, every) {
    const timer = setInterval(() => (socket.destroyed || socket.writableLength > 1 << 20 ? undefined : socket.write(piece)), every);
    socket.on('close', () => clearInterval(timer));
    return SILENCE;
  }

  /** What a relay does instead of answering, by phase. */
  const DRAGS = {
    'a byte a second': { greeting: ({ socket }) => stream(socket, '2', 1000) },
    'a greeting without end': { greeting: ({ socket }) => stream(socket, '220-and so on\r\n'.repeat(100), 5) },
    'a line of ten megabytes': { ehlo: ({ socket }) => (socket.write(`250-${'x'.repeat(10 << 20)}\r\n`), SILENCE) },
    'a reply without end': { mail: ({ socket }) => stream(socket, '250-and so on\r\n'.repeat(100), 5) },
    'nothing at all': { greeting: () => SILENCE },
  };

  // Nearly all of it is waiting.
  describe('a relay that drags by sending', { concurrency: 7 }, () => {
    for (const [what, script] of Object.entries(DRAGS)) {
      test(`${what} is given up in time: requests are as quick as ever, memory stays, the mail comes later`, async (t) => {
        const all = names(60);
        const setting = await start(t, { all: [ANN, ...all], script });
        await setting.ask([ANN]);
        await until('a connection', () => setting.relay.sessions.length > 0);
        const memory = async () => Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${setting.server.pid}/status`, 'utf8'))[1]);
        const before = await memory();
        const times = [];
        for (const name of all) {
          const begun = performance.now();
          assert.equal((await setting.server.client.askForReset(name)).status, 200);
          times.push(performance.now() - begun);
        }
        // Greeting and commands are waited for 30 s each.
        await isDegraded(setting, 120_000);
        assert.ok(Math.max(...times) < 15_000, `the slowest request took ${Math.max(...times).toFixed(0)} ms`);
        const grown = (await memory()) - before;
        assert.ok(grown < 24 * 1024, `memory grew by ${grown} kB`);
        await noneIsCharged(setting, all.length + 1);
        setting.relay.behave();
        await eachHasOne(setting, [ANN, ...all]);
      });
    }

    test('nothing on one connection leaves the others alone', async (t) => {
      let stuck;
      const mail = (session) => (stuck ??= session) === session ? SILENCE : undefined;
      const all = names(30);
      const setting = await start(t, { all: [ANN, ...all], script: { mail } });
      await setting.ask([ANN]);
      await until('a connection that is stuck', () => stuck);
      await setting.ask(all);
      // It is given up after 30 s.
      await until('the others', () => all.every((name) => setting.relay.accepted(name).length === 1), 29_000);
      assert.equal(setting.relay.accepted(ANN).length, 0);
      await eachHasOne(setting, [ANN, ...all]);
    });

    test('a good-bye after each mail costs nobody an attempt: 300 mails, 300 letters sent at the first try', async (t) => {
      const all = names(300);
      const setting = await start(t, { all });
      setting.relay.hangsUp = true;
      await setting.ask(all);
      await eachHasOne(setting, all);
      assert.deepEqual(await setting.states(), [{ state: 'sent', attempts: 1, n: 300 }]);
      assert.equal(setting.relay.mails.length, 300);
      assert.doesNotMatch(setting.server.output, /relay is at fault/);
    });
  });

  describe('a relay whose TLS is broken', { concurrency: 3 }, () => {
    const BROKEN = {
      'by a certificate that has expired': (directory) => moreCertificates(directory, { daysAgo: 10 }),
      'by a certificate for another host': (directory) => moreCertificates(directory, { hosts: 'DNS:relay.example.net' }),
      'by knowing TLS 1.1 alone': async (directory) => ({
        ...(await moreCertificates(directory)), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0',
      }),
    };
    for (const [how, broken] of Object.entries(BROKEN)) {
      test(`${how} gets nothing in clear, and the whole queue once it is mended`, async (t) => {
        const directory = await temporaryDirectory();
        const good = await makeCertificates(directory);
        const all = names(20);
        const env = { SSL_CERT_FILE: good.authorityFile };
        const options = { all, env, tls: await broken(directory), auth: true, login: 'mailer:t0p-secret@', query: '?requireTLS=true' };
        const setting = await start(t, options);
        await setting.ask(all);
        await isDegraded(setting);
        const held = await until('a letter that is held back', async () => (await setting.installation.letters()).find((l) => l.lastError));
        assert.match(held.lastError, /tls|certificate/i);
        await noneIsCharged(setting, 20);
        const said = setting.relay.sessions.flatMap((session) => session.commands);
        assert.ok(said.includes('STARTTLS') && !said.some((line) => /^(AUTH|MAIL|RCPT|DATA)/.test(line)), said.join());
        setting.relay.secure = { key: good.key, cert: good.cert };
        await eachHasOne(setting, all);
      });
    }
  });
});
