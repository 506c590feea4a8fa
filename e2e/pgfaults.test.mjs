// The database server under faults, with requests of every kind at two processes meanwhile: what was answered 2xx is in the
// database and in the mails afterwards, what is not done is 503 in time, and the same processes work again by themselves.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { takeAll } from './lib/crowd.mjs';
import { sql, value } from './lib/database.mjs';
import { smallDisk } from './lib/faults.mjs';
import { Line } from './lib/line.mjs';
import { Load } from './lib/load.mjs';
import { execute, Postgres } from './lib/postgres.mjs';
import { makeProcesses } from './lib/processes.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

/** How often each fault is played that is over soon; `./test nightly` plays more. */
const ROUNDS = Number(process.env.E2E_PGFAULTS_ROUNDS ?? 3);

/** Two processes over a database on that server, and a relay; nothing is started. */
async function make(t, postgres, { through, hosts } = {}) {
  const relay = await ScriptedRelay.start(t);
  const installations = await makeProcesses(t, 2, { postgres, through, relay: relay.url });
  if (hosts) {
    for (const { file, database } of installations) {
      const config = JSON.parse(await readFile(file, 'utf8'));
      const { pathname } = new URL(database);
      config.database = `postgres://postgres@${hosts.map((port) => `127.0.0.1:${port}`).join(',')}${pathname}`;
      await writeFile(file, JSON.stringify(config));
    }
  }
  return { relay, installations };
}

let last = Promise.resolve();

/** One at a time: a start gives up where a loaded machine takes five seconds for a step. */
function oneByOne(work) {
  const turn = last.then(work);
  last = turn.catch(() => {});
  return turn;
}

/** The same, with the load on it. The server is the one that `postgres` starts. */
async function start(t, postgres, through = async () => undefined) {
  const made = await oneByOne(async () => {
    const server = await postgres();
    const line = await through(server);
    const { relay, installations } = await make(t, server, line && { through: [line.port, line.port] });
    return { postgres: server, line, load: await Load.start(t, installations, relay), database: installations[0].database };
  });
  await made.load.begin();
  return made;
}

/** Two processes that reach the server through a line. */
const startBehindLine = (t) => start(t, () => Postgres.shared(), ({ port }) => Line.start(t, port));

/** Sets something on a server as an operator does who cannot restart it; `null` takes it back. */
async function set(postgres, name, value) {
  await postgres.run(value === null ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`);
  await postgres.run('SELECT pg_reload_conf()');
}

/** A primary whose commits wait for its standby, both with the load on them. */
async function startPair(t, { throughLine = false } = {}) {
  const pair = await oneByOne(async () => {
    const primary = await Postgres.start(t);
    // As in life the standby has what the primary has, this setting too.
    await set(primary, 'synchronous_standby_names', '*');
    const standby = await Postgres.start(t, { standbyOf: primary });
    const line = throughLine && (await Line.start(t, primary.port));
    const { relay, installations } = await make(t, primary, { hosts: [line ? line.port : primary.port, standby.port] });
    return { primary, standby, line, installations, load: await Load.start(t, installations, relay) };
  });
  assert.equal((await pair.primary.run('SELECT sync_state FROM pg_stat_replication')).trim(), 'sync');
  await pair.load.begin();
  return pair;
}

/** Makes the standby the primary as an operator does, who has no other standby yet. */
async function promote({ primary, standby, installations }) {
  await standby.promote();
  // Commits wait for a standby that there is not, and nobody is told that they are done.
  await pause(2000);
  await set(standby, 'synchronous_standby_names', null);
  for (const installation of installations) {
    installation.database = installation.database.replace(`:${primary.port}/`, `:${standby.port}/`);
  }
}

describe('under load', { concurrency: 4 }, () => {
  test('a server that crashes and starts again, several times', async (t) => {
    const { load, postgres } = await start(t, () => Postgres.start(t));
    for (let round = 0; round < ROUNDS; round += 1) {
      await load.disturb(() => postgres.restart('immediate'));
      await pause(randomInt(300, 1500));
    }
    await load.recovers();
    await load.balances();
  });

  test('an administrator who ends all connections, again and again', async (t) => {
    const { load, postgres } = await start(t, () => Postgres.start(t));
    const ended = await load.disturb(async () => {
      let all = 0;
      // More where this machine is slow, and takes its time to connect again.
      for (let round = 0; round < ROUNDS * 15 || (all < ROUNDS * 15 && round < ROUNDS * 150); round += 1) {
        all += await postgres.terminate(`application_name = 'regain'`);
        await pause(randomInt(50, 200));
      }
      return all;
    });
    t.diagnostic(`${ended} connections were ended`);
    assert.ok(ended >= ROUNDS * 15);
    await load.recovers();
    await load.balances();
  });

  test('a line that swallows everything for a while, and is cut', async (t) => {
    const { line, load } = await startBehindLine(t);
    await load.disturb(async () => {
      line.blacken();
      await pause(15_000);
      await load.refuses(6);
      line.pass();
    });
    await load.recovers();
    await load.disturb(async () => {
      line.cut();
      await pause(1000);
      line.pass();
    });
    await load.recovers();
    await load.balances();
  });

  test('a line that loses the answers: what may be done or not is never 200', async (t) => {
    const { line, load, database } = await startBehindLine(t);
    for (let round = 0; round < ROUNDS; round += 1) {
      await load.disturb(async () => {
        line.deafen();
        const some = load.left.reset.slice(0, 6).map((name) => `'${name}'`);
        const asked = some.map(() => load.askForReset());
        const done = () => value(database, `SELECT count(*) FROM letters WHERE name_key IN (${some})`);
        // At a random moment, but once when one of them is done for sure.
        if (round > 0) await pause(randomInt(300, 2000));
        else await until('one to be done', async () => (await done()) > 0);
        line.drop();
        line.pass();
        const outcomes = await Promise.all(asked);
        assert.ok(outcomes.includes('unknown'), `${outcomes}`);
      });
      await load.recovers();
    }
    // The fault is the one that is meant: some of those who were told nothing have their letter.
    const doubtful = [...load.outcomes.reset].filter(([, outcome]) => outcome === 'unknown').map(([name]) => name);
    const letters = await sql(database, `SELECT name_key FROM letters WHERE name_key IN (${doubtful.map((name) => `'${name}'`)})`);
    t.diagnostic(`${letters.length} of ${doubtful.length} requests without an answer were done`);
    assert.ok(letters.length > 0);
    await load.balances();
  });

  test('a disk that is full', async (t) => {
    const disk = await smallDisk(t, 160);
    assert.ok(disk, 'a small file system must be mounted for this test: run it as root, where mounting is allowed');
    const settings = { max_wal_size: '32MB', min_wal_size: '32MB', max_connections: 60 };
    const { load, postgres, database } = await start(t, () => Postgres.start(t, { directory: disk, settings }));
    const ballast = join(disk, 'ballast');
    await load.disturb(async () => {
      const fill = async () => {
        for (const size of [1 << 20, 1 << 12, 1]) {
          for (let isFull = false; !isFull; ) isFull = await writeFile(ballast, Buffer.alloc(size), { flag: 'a' }).then(() => false, () => true);
        }
      };
      await fill();
      const from = performance.now();
      const isStuck = () => load.answers.filter(({ at, status }) => at > from && status === 503).length >= 20;
      await until('requests to be refused', async () => {
        // What is left in files that exist is used up too.
        const bulk = 'CREATE TABLE IF NOT EXISTS public.bulk (b text); INSERT INTO public.bulk SELECT repeat(md5(n::text), 60) FROM generate_series(1, 2000) n';
        await execute(database, bulk).catch(() => {});
        await fill();
        return isStuck();
      }, 120_000);
      await pause(1000);
      await rm(ballast);
      // It may have given up, as PostgreSQL does when it cannot even recover.
      await value(database, 'SELECT 1').catch(() => until('the server to be back', async () => {
        await postgres.start().catch(() => {});
        return value(database, 'SELECT 1');
      }, 120_000));
    });
    const log = await readFile(postgres.log, 'utf8');
    t.diagnostic(`${log.match(/No space left/g)?.length ?? 0} × no space left, ${log.match(/PANIC/g)?.length ?? 0} × PANIC`);
    assert.match(log, /No space left on device/);
    await load.recovers();
    await load.balances();
  });

  test('a primary that dies, a standby that is promoted, and the old one back as a standby', async (t) => {
    const pair = await startPair(t);
    const { primary, standby, load } = pair;
    await load.disturb(async () => {
      await primary.stop('immediate');
      await pause(1000);
      await promote(pair);
    });
    await load.recovers();
    // It comes back where it was, takes connections and no writes: whoever connects anew must pass it by.
    await writeFile(join(primary.data, 'standby.signal'), '');
    await primary.start();
    assert.equal((await primary.run('SHOW transaction_read_only')).trim(), 'on');
    await load.disturb(() => standby.terminate(`application_name = 'regain'`));
    await load.recovers();
    await load.balances();
  });

  test('a primary that hangs without a word, and a standby that is promoted', async (t) => {
    const pair = await startPair(t, { throughLine: true });
    await pair.load.disturb(async () => {
      pair.line.blacken();
      await pause(1000);
      await promote(pair);
    });
    await pair.load.recovers();
    await pair.load.balances();
  });

  test('a primary that is made read-only takes no write from then on', async (t) => {
    const { load, postgres, database } = await start(t, () => Postgres.start(t));
    await load.disturb(async () => {
      await set(postgres, 'default_transaction_read_only', 'on');
      // New connections know it once all others have been told; what had begun before that may still write.
      await until('it to be in force', async () => (await postgres.run('SHOW default_transaction_read_only')).trim() === 'on');
      const told = (await postgres.run('SELECT clock_timestamp()')).trim();
      const earlier = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'regain' AND xact_start <= '${told}'`;
      await until('what had begun before to end', async () => (await postgres.run(earlier)).trim() === '0');
      const from = performance.now();
      const before = await value(database, 'SELECT count(*) FROM letters');
      await load.refuses(20, from);
      assert.equal(await value(database, 'SELECT count(*) FROM letters'), before);
      assert.deepEqual(load.answers.filter(({ kind, at, status }) => kind === 'reset' && at > from && status === 200), []);
      // Whoever takes it back must be allowed to write.
      await execute(`${postgres.url('postgres')}?options=-c%20default_transaction_read_only%3Doff`, 'ALTER SYSTEM RESET default_transaction_read_only');
      await postgres.run('SELECT pg_reload_conf()');
    });
    await load.recovers();
    await load.balances();
  });

  test('a server whose connections others have', async (t) => {
    const most = 30;
    const { load, postgres } = await start(t, () => Postgres.start(t, { settings: { max_connections: most } }));
    await load.disturb(async () => {
      // Ours are ended until others have all, on a connection that stays: there will be no other.
      const ending = postgres.run(`DO $$ BEGIN
        LOOP
          PERFORM pg_stat_clear_snapshot();
          EXIT WHEN (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'others') >= ${most - 1};
          PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'regain';
          PERFORM pg_sleep(0.05);
        END LOOP;
        -- Until they let go.
        LOOP
          PERFORM pg_stat_clear_snapshot();
          EXIT WHEN (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'others') = 0;
          PERFORM pg_sleep(0.05);
        END LOOP;
      END $$`);
      await until('that to be under way', async () => (await postgres.run(`SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'`)).trim() === '1');
      const others = takeAll(t, postgres.port);
      await until('others to have all', () => others.held.size >= most - 1);
      const from = performance.now();
      const answers = () => load.answers.filter(({ at }) => at > from);
      await pause(5000);
      await until('answers', () => answers().length >= 20);
      const meanwhile = answers();
      assert.deepEqual(meanwhile.filter(({ status }) => status !== 503), []);
      others.release();
      await ending;
    });
    await load.recovers();
    await load.balances();
  });

  test('somebody who holds a lock for longer than anybody waits', async (t) => {
    const { load, database } = await start(t, () => Postgres.shared());
    const from = performance.now();
    await load.disturb(() => execute(database, 'BEGIN; LOCK TABLE regain.letters; SELECT pg_sleep(12); COMMIT'));
    assert.ok(load.answers.some(({ at, status }) => at > from && status === 503));
    await load.recovers();
    await load.balances();
  });
});

test('letters that are claimed while tokens cannot be stored go out as soon as they can, and count as no crash', async (t) => {
  const { relay, installations: [one] } = await make(t, await Postgres.shared());
  const server = await one.serve();
  const names = Array.from({ length: 5 }, (_, i) => `held${i}@example.org`);
  for (const name of names) assert.equal((await server.client.register(name, 'a password')).status, 200);
  await Promise.all(names.map((name) => relay.mail(name)));
  // As an index in the making does: nobody writes into the table, and claims need nothing of it.
  const held = execute(one.database, 'BEGIN; LOCK TABLE regain.tokens IN SHARE MODE; SELECT pg_sleep(7); COMMIT');
  await until('the lock', async () => (await sql(one.database, `SELECT 1 AS one FROM pg_locks WHERE mode = 'ShareLock' AND relation = 'tokens'::regclass`)).length > 0);
  for (const name of names) assert.equal((await server.client.askForReset(name)).status, 200);
  await held;
  assert.ok(server.output.includes('letters could not be attempted'), 'some were claimed meanwhile');
  // Long before the leases of these claims run out.
  await Promise.all(names.map((name) => relay.mail(name, { count: 2, ms: 10_000 })));
  assert.equal(await value(one.database, 'SELECT max(crashes) AS most FROM letters'), 0);
});
