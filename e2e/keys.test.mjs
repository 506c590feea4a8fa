// Keys of several processes over one database: changed as docs/configuration.md says while requests run, and in every wrong
// order. No start lets processes disagree, and one that runs while others come to disagree with it says so.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { importAccounts, names, PASSWORD } from './lib/accounts.mjs';
import { sql } from './lib/database.mjs';
import { tokenIn } from './lib/mail.mjs';
import { temporaryDirectory } from './lib/place.mjs';
import { makeProcesses } from './lib/processes.mjs';
import { run } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { until } from './lib/wait.mjs';

const [ANN] = names(1);
const DIFFER = /keys are not those in force/;

describe('keys of several processes', { concurrency: 5 }, () => {
  test('are changed one restart after the other: meanwhile no session is refused and no link void', async (t) => {
    const all = names(200);
    const { processes, relay, works } = await scene(t, 3, all);
    const servers = await Promise.all(processes.map((each) => each.serve(works('one'))));
    const first = await session(servers[0], ANN);

    let isOver = false;
    const done = { sessions: 0, links: 0 };
    const up = () => servers.filter((server) => !server.isGoing);
    const any = () => up()[Math.floor(Math.random() * up().length)];
    /** An answer of some process, as a balancer would find one. A connection may be cut by a stop. */
    const ask = async (asking) => {
      for (;;) {
        try {
          return await asking(any());
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
        }
      }
    };
    const walk = async (mine) => {
      for (let i = 0; !isOver; i += 1) {
        const name = mine[i % mine.length];
        const token = await ask((server) => session(server, name));
        assert.equal(await ask((server) => trade(server, token)), 200, 'a session of one holds at another');
        done.sessions += 1;
        if (i >= mine.length) continue;
        assert.equal((await ask((server) => server.client.askForReset(name))).status, 200);
        const { raw } = await relay.mail(name, { ms: 120_000 });
        assert.equal((await ask((server) => server.client.completeReset(tokenIn(raw), PASSWORD))).status, 200, 'a link of one holds at another');
        done.links += 1;
      }
    };
    const walkers = Promise.all([0, 1].map((i) => walk(all.slice(1 + i * 99, 1 + (i + 1) * 99))));
    walkers.catch(() => {});
    const restartAll = async (...keys) => {
      for (const [i, each] of processes.entries()) {
        servers[i].isGoing = true;
        await servers[i].stop();
        servers[i] = await each.serve(works(...keys));
        const before = { ...done };
        await Promise.race([walkers, until('both to go on', () => done.sessions > before.sessions + 1 && done.links > before.links)]);
      }
    };
    await restartAll('one', 'two');
    await restartAll('two', 'one');
    for (const server of servers) assert.equal(await trade(server, first), 200);
    await restartAll('two');
    for (const server of servers) assert.equal(await trade(server, first), 403);
    isOver = true;
    await walkers;
    t.diagnostic(`${done.sessions} sessions, ${done.links} links`);
  });

  test('that are turned without a word are told by those that do not know, until they have followed', async (t) => {
    const { processes: [one, other], works } = await scene(t, 2, [ANN]);
    let leader = await one.serve(works('one'));
    let behind = await other.serve(works('one'));
    await leader.stop();
    await refused(one, works('two'), /does not know that one/);
    leader = await one.serve(works('two', 'one'));
    const token = await session(leader, ANN);
    assert.deepEqual([await trade(leader, token), await trade(behind, token)], [200, 403]);
    assert.equal(await trade(leader, await session(behind, ANN)), 200);
    await told(behind);
    assert.equal((await health(leader)).status, 'ok');
    await behind.stop();
    await refused(other, works('one'), /does not know that one/);
    behind = await other.serve(works('one', 'two'));
    assert.equal(await trade(behind, token), 200);
  });

  test('that are given up while one still works with them: it says so, and does not start again with them', async (t) => {
    const { processes: [one, other], works } = await scene(t, 2, [ANN]);
    await (await one.serve(works('one'))).stop();
    let first = await one.serve(works('two', 'one'));
    let late = await other.serve(works('one', 'two'));
    await late.says('key_behind');
    await first.stop();
    first = await one.serve(works('two'));
    assert.equal(await trade(first, await session(late, ANN)), 403);
    await told(late);
    await late.stop();
    await refused(other, works('one', 'two'), /do not take it any more/);
    late = await other.serve(works('two'));
    assert.equal(await trade(first, await session(late, ANN)), 200);
  });

  test('that an operator replaces while others run: those say so', async (t) => {
    const { processes: [one, other], works } = await scene(t, 2, [ANN]);
    const running = await other.serve(works('one'));
    const { code, stdout } = await one.run(['keys', 'accept', '--config', one.file], works('two'));
    assert.equal(code, 0);
    assert.match(stdout, /is in force in place of/);
    await told(running);
    const fresh = await one.serve(works('two'));
    assert.equal((await health(fresh)).status, 'ok');
    await running.stop();
    await refused(other, works('one'), /does not know that one/);
  });

  test('of which each brings its own to an empty database: the first are in force, and all others are refused', async (t) => {
    const { processes, works } = await scene(t, 6);
    const starts = await Promise.allSettled(processes.map((each, i) => each.serve(works(i % 2 ? 'one' : 'two'))));
    const started = starts.map(({ status }) => status === 'fulfilled');
    assert.ok(started[0] !== started[1], String(started));
    assert.deepEqual(started, started.map((_, i) => started[i % 2]));
    for (const { reason } of starts.filter(({ reason }) => reason)) assert.match(reason.message, /does not know that one/);
    assert.deepEqual(await sql(processes[0].database, `SELECT count(*) AS n FROM meta WHERE key IN ('token_key', 'signing_key') AND value !~ ' '`), [{ n: 2 }]);
  });
});

let made;

/** A directory with two sets of keys, `one` and `two`. */
function sets() {
  made ??= (async () => {
    const directory = await temporaryDirectory();
    for (const set of ['one', 'two']) await run(['keys', 'generate', '--out', join(directory, set)]);
    return directory;
  })();
  return made;
}

/** Processes over one database; `works(current, other)` is how one is started that works with one set and knows another. */
async function scene(t, count, accounts) {
  const relay = await ScriptedRelay.start(t);
  const processes = await makeProcesses(t, count, { relay: relay.url, settings: { limits: { perClient: false, perAddress: false } } });
  const directory = await sets();
  const works = (current, other) => ({
    env: {
      REGAIN_KEYS__TOKEN_KEY__FILE: join(directory, current, 'token.key'),
      REGAIN_KEYS__SIGNING_KEY__FILE: join(directory, current, 'auth.key'),
      ...(other && {
        REGAIN_KEYS__OTHER_TOKEN_KEYS__0__FILE: join(directory, other, 'token.key'),
        REGAIN_KEYS__OTHER_PUBLIC_KEYS__0__FILE: join(directory, other, 'auth.pub'),
      }),
    },
  });
  if (accounts) await importAccounts(processes[0], accounts);
  return { relay, processes, works };
}

async function session(server, name) {
  const { status, body } = await server.client.signIn(name, PASSWORD);
  assert.equal(status, 200);
  return body.refresh_token.token;
}

/** What a process answers to a session: 200 where it holds, 403 where not. */
async function trade(server, token) {
  return (await server.client.send('POST', '/auth', { provider: 'realm', data: token })).status;
}

async function refused(installation, how, why) {
  const { code, stderr } = await installation.run(['serve', '--config', installation.file], how);
  assert.equal(code, 78);
  assert.match(stderr, why);
}

const health = async (server) => (await server.client.send('GET', '/health')).body;

/** Waits until a process says that it disagrees with the others. */
async function told(server) {
  const { status } = await until('it to notice', async () => {
    const now = await health(server);
    return DIFFER.test(now.reason) && now;
  });
  assert.equal(status, 'degraded');
  await server.says('keys_differ');
}
