// The database under faults of the machine: power cuts, full disks, others that hold it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { copyFile, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { importAccounts, inParallel, names, PASSWORD } from './lib/accounts.mjs';
import { brokenInvariants, databaseOf, hold, sql } from './lib/database.mjs';
import { smallDisk } from './lib/faults.mjs';
import { temporaryDirectory } from './lib/place.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const ANN = 'ann@example.org';
const run = promisify(execFile);

const statusOf = (asking) => asking.then(({ status }) => status, () => undefined);

/** Asks for a reset for each of these names, and answers those that were answered 200. */
async function acknowledged(server, all) {
  const answered = [];
  await inParallel(all, 8, async (name) => {
    const { status, body, headers } = await server.client.askForReset(name);
    assert.ok(status === 200 || (status === 503 && body.code === 802 && Number(headers.get('retry-after')) > 0), `${status}`);
    if (status === 200) answered.push(name);
  });
  return answered;
}

describe('the database', { concurrency: true }, () => {
  describe('a power cut', () => {
    test('takes nothing that was answered: what was synced is enough, and is whole', async (t) => {
      const relay = await ScriptedRelay.start(t);
      await relay.refuse();
      const installation = await Installation.make(t, { relay: relay.url });
      const all = names(3000);
      await importAccounts(installation, all);
      const safe = await temporaryDirectory();
      const library = join(safe, 'power_cut.so');
      await run('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-o', library, new URL('lib/power_cut.c', import.meta.url).pathname]);
      const files = async (directory) => (await readdir(directory)).filter((name) => /^regain\.db(-wal)?$/.test(name));
      for (const name of await files(installation.data)) await copyFile(join(installation.data, name), join(safe, name));
      const env = { LD_PRELOAD: library, POWER_CUT_SAFE: safe };

      const answered = [];
      const left = [...all];
      for (let cut = 0; cut < 8; cut += 1) {
        const server = await installation.serve({ env });
        let isUp = true;
        const load = Array.from({ length: 8 }, async () => {
          while (isUp && left.length > 0) {
            const name = left.shift();
            if ((await statusOf(server.client.askForReset(name))) === 200) answered.push(name);
          }
        });
        // In the middle of the load, however quick this machine is.
        const enough = answered.length + randomInt(30, 250);
        await until('requests to lose', () => answered.length >= enough);
        await server.kill();
        isUp = false;
        await Promise.all(load);
        for (const name of await readdir(installation.data)) {
          if (name.startsWith('regain.db')) await rm(join(installation.data, name));
        }
        // Looked at elsewhere, since SQLite tidies up what it opens.
        const look = await temporaryDirectory();
        for (const name of await files(safe)) {
          for (const place of [installation.data, look]) await copyFile(join(safe, name), join(place, name));
        }
        const found = new Set((await sql(databaseOf(look), 'SELECT name_key FROM letters')).map((row) => row.name_key));
        assert.deepEqual(await brokenInvariants(databaseOf(look)), {});
        const lost = answered.filter((name) => !found.has(name));
        assert.deepEqual(lost, [], `after cut number ${cut + 1}`);
      }
      t.diagnostic(`${answered.length} requests were answered`);
      assert.ok(answered.length >= 200);
      await relay.listen();
      await installation.serve();
      await until('a mail for each', () => answered.every((name) => relay.accepted(name).length === 1), 180_000);
    });
  });

  /** Ways to fill a disk: each answers how to fill it and how to make room again. */
  const DISKS = {
    'a disk of eight megabytes': async (t) => {
      const disk = await smallDisk(t, 8);
      if (!disk) return undefined;
      const ballast = join(disk, 'ballast');
      const log = await open(join(disk, 'regain.log'), 'a');
      t.after(() => log.close());
      return {
        settings: { dataPath: join(disk, 'data') },
        options: { log: log.fd, env: { REGAIN_LOG: 'debug' } },
        fill: async () => {
          for (const size of [1 << 16, 1 << 12, 1]) {
            for (let isFull = false; !isFull; ) isFull = await writeFile(ballast, Buffer.alloc(size), { flag: 'a' }).then(() => false, () => true);
          }
        },
        free: () => rm(ballast),
      };
    },
    // Works without a right to mount; a file may not grow any more.
    'files that may not grow': async () => ({
      options: { through: ['sh', '-c', `trap '' XFSZ; exec "$0" "$@"`] },
      fill: async ({ server, database }) => {
        const { size } = await stat(`${database}-wal`);
        await run('prlimit', ['--pid', String(server.pid), `--fsize=${size + 4096}:`]);
      },
      free: ({ server }) => run('prlimit', ['--pid', String(server.pid), '--fsize=unlimited:']),
    }),
  };

  describe('a disk that is full', { concurrency: 2 }, () => {
    for (const [what, make] of Object.entries(DISKS)) {
      test(`(${what}) makes writing 503, leaves reading alone, and is over without a restart`, async (t) => {
        const disk = (await make(t)) ?? (await DISKS['files that may not grow'](t));
        const relay = await ScriptedRelay.start(t);
        const installation = await Installation.make(t, { relay: relay.url, settings: disk.settings });
        if (disk.settings) {
          const data = disk.settings.dataPath;
          Object.assign(installation, { data, database: databaseOf(data) });
        }
        const { database } = installation;
        const all = names(4000);
        await importAccounts(installation, [ANN, ...all.slice(0, 400)]);
        const server = await installation.serve(disk.options);
        const signedIn = await server.client.signIn(ANN, PASSWORD);
        assert.equal(signedIn.status, 200);
        const session = signedIn.body.refresh_token.token;
        await relay.refuse();
        const left = all.slice(0, 400);
        const answered = await acknowledged(server, left.splice(0, 20));
        assert.equal(answered.length, 20);

        await disk.fill({ server, database });
        // What space there is in files that exist may be used up first.
        let refused = 0;
        while (refused < 20) {
          assert.ok(left.length > 0, 'a disk that is full takes everything');
          const some = left.splice(0, 10);
          const went = await acknowledged(server, some);
          answered.push(...went);
          refused += some.length - went.length;
        }
        assert.equal((await server.client.send('POST', '/auth', { provider: 'realm', data: session })).status, 200);
        assert.equal((await server.client.signIn(ANN, PASSWORD)).status, 200);
        const { status, body } = await server.client.send('GET', '/health');
        assert.deepEqual([status, body.status], [200, 'degraded']);
        assert.ok([503, 401].includes((await server.client.register('new@example.org', 'first password')).status));

        await disk.free({ server, database });
        await until('writing to work again', async () => (await acknowledged(server, [ANN])).length === 1);
        answered.push(ANN);
        const letters = await sql(database, `SELECT name_key FROM letters WHERE purpose = 'reset'`);
        assert.deepEqual(letters.map((row) => row.name_key).sort(), [...answered].sort(), 'what was refused left nothing');
        await relay.listen();
        await until('a mail for each', () => answered.every((name) => relay.accepted(name).length >= 1), 180_000);
        await until('good health', async () => (await server.client.send('GET', '/health')).body.status === 'ok');
        assert.deepEqual(await brokenInvariants(database), {});
        assert.equal((await server.stop()).code, 0);
      });
    }
  });

  describe('another process that holds the database', { concurrency: 4 }, () => {
    /** A server with accounts of ANN and others. */
    async function start(t, count) {
      const relay = await ScriptedRelay.start(t);
      const installation = await Installation.make(t, { relay: relay.url });
      const all = names(count);
      await importAccounts(installation, [ANN, ...all]);
      const server = await installation.serve();
      return { relay, installation, server, all, database: installation.database };
    }

    test('for three seconds makes requests wait, and none fail', async (t) => {
      const { relay, server, all, database } = await start(t, 60);
      const release = await hold(t, database);
      const asking = acknowledged(server, all);
      await pause(3000);
      await release();
      assert.equal((await asking).length, all.length);
      await until('a mail for each', () => all.every((name) => relay.accepted(name).length === 1));
    });

    test('for longer than anybody waits makes them 503 in time, without a trace, and is over by itself', async (t) => {
      const { relay, server, all, database } = await start(t, 120);
      // The first one renews the hash, which is writing.
      assert.equal((await server.client.signIn(ANN, PASSWORD)).status, 200);
      const release = await hold(t, database);
      const begun = performance.now();
      const answered = [];
      let refused = 0;
      const asking = inParallel(all, 8, async (name) => {
        const { status, body } = await server.client.askForReset(name);
        assert.ok(status === 200 || (status === 503 && body.code === 802), `${status}`);
        if (status === 200) answered.push(name);
        else refused += 1;
      });
      assert.equal((await server.client.signIn(ANN, PASSWORD)).status, 200, 'who only reads does not wait');
      await until('bad news in the health', async () => (await server.client.send('GET', '/health')).body?.status === 'degraded');
      // Whoever asks waits for five seconds, or twice that, and is told while it is still held; these are two rounds of eight.
      await until('those who came first to be refused', () => refused >= 16);
      const took = performance.now() - begun;
      assert.ok(took < 40_000, `${took.toFixed(0)} ms`);
      assert.deepEqual(answered, []);
      await release();
      await asking;
      const letters = await sql(database, `SELECT name_key FROM letters`);
      assert.deepEqual(letters.map((row) => row.name_key).sort(), [...answered].sort());
      assert.equal((await acknowledged(server, [ANN])).length, 1);
      for (const name of [ANN, ...answered]) await relay.mail(name);
      assert.equal(relay.mails.length, answered.length + 1);
      await until('good health', async () => (await server.client.send('GET', '/health')).body.status === 'ok');
      assert.deepEqual(await brokenInvariants(database), {});
    });

    test('from the moment at which the relay took a mail: it is written down later, and no copy goes out', async (t) => {
      const { relay, server, installation, database } = await start(t, 1);
      let release;
      relay.script.dot = async () => void (release ??= await hold(t, database));
      assert.equal((await server.client.askForReset(ANN)).status, 200);
      await relay.mail(ANN);
      // Longer than SQLite itself waits.
      await pause(8000);
      await release();
      const letter = await installation.letter('reset', 'sent', (l) => l.state === 'sent');
      assert.equal(letter.attempts, 1);
      await pause(1000);
      assert.equal(relay.mails.length, 1);
    });

    test('does not bring a second server to life beside the first', async (t) => {
      const { installation } = await start(t, 1);
      const second = await installation.run(['serve', '--config', installation.file]);
      assert.notEqual(second.code, 0);
      assert.match(second.stderr, /another/i);
    });
  });
});
