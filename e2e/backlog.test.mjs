// Ten thousand letters that an outage has left: the relay is not run over, nobody who asks now waits for them, memory stays.
// Alone in its file, since it measures times.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

import { importAccounts, names } from './lib/accounts.mjs';
import { sql, value } from './lib/database.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const COUNT = 10_000;
const EXPIRED = 200;

/** Letters of accounts `0..COUNT`, as requests of the last minutes left them; the deadline of the first few is past. */
const LETTERS = `
  INSERT INTO letters (id, purpose, name_key, ip, agent, posted, deadline, due)
  SELECT randomblob(16), 'reset', 'user' || n || '@example.org', '192.0.2.1', 'Test/1.0', posted,
         iif(n < ${EXPIRED}, posted, posted + 3600000), posted
  FROM (SELECT value AS n, unixepoch() * 1000 - 600000 + value * 50 AS posted FROM generate_series(0, ${COUNT - 1}));`;

/** A relay's traffic as it went by: connections open at once, when each mail was taken. */
function watch(relay) {
  const seen = { most: 0, mostAtFirst: 0, at: new Map(), copies: 0 };
  let busy = 0;
  relay.script.mail = () => {
    busy += 1;
    seen.most = Math.max(seen.most, busy);
    if (seen.at.size < 2) seen.mostAtFirst = Math.max(seen.mostAtFirst, busy);
  };
  relay.script.dot = async (session) => {
    await pause(8);
    busy -= 1;
    const [to] = session.envelope.to;
    if (seen.at.has(to)) seen.copies += 1;
    seen.at.set(to, performance.now());
    // Ten thousand mails are not kept.
    session.received = '';
    session.commands.length = 0;
    relay.mails.length = 0;
  };
  return seen;
}

test('ten thousand letters drain gently, fresh ones pass them, those whose time is over stay, memory is flat', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  await importAccounts(installation, names(COUNT));
  const fresh = names(200, 'fresh');
  await importAccounts(installation, fresh);
  const { database } = installation;
  await sql(database, LETTERS);
  await relay.refuse();
  const server = await installation.serve();
  await until('the outage to be known', () => /event="relay_fault"/.test(server.output));

  const seen = watch(relay);
  const memory = async () => Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${server.pid}/status`, 'utf8'))[1]);
  const asked = new Map();
  let isDraining = true;
  const asking = (async () => {
    for (const name of fresh) {
      if (!isDraining) return;
      asked.set(name, performance.now());
      assert.equal((await server.client.askForReset(name)).status, 200);
      await pause(200);
    }
  })();
  await relay.listen();
  await until('the first mails', () => seen.at.size > 500, 60_000);
  const [early, begun] = [await memory(), performance.now()];
  const open = () => value(database, 'SELECT sum(open) FROM outbox');
  const peaks = [];
  await until('the outbox to drain', async () => {
    peaks.push(await memory());
    await pause(250);
    return seen.at.size >= COUNT - EXPIRED;
  }, 180_000);
  const took = (performance.now() - begun) / 1000;
  isDraining = false;
  await asking;
  await until('the last ones', async () => (await open()) === 0, 30_000);

  const waits = [...asked].map(([name, at]) => (seen.at.get(name) ?? Infinity) - at).sort((a, b) => a - b);
  const p95 = waits[Math.floor(waits.length * 0.95)];
  t.diagnostic(`${(COUNT / took).toFixed(0)} mails a second; at most ${seen.most} at once, ${seen.mostAtFirst} at first; ` +
    `a fresh mail took ${p95.toFixed(0)} ms (p95 of ${waits.length}); memory ${early} kB, at most ${Math.max(...peaks)} kB`);
  assert.equal(seen.copies, 0);
  assert.ok(seen.most <= 5, `${seen.most} deliveries at once`);
  assert.ok(seen.mostAtFirst <= 2, `${seen.mostAtFirst} deliveries at once in the beginning`);
  assert.ok(waits.length >= 10 && p95 < 10_000, `a fresh mail took ${p95.toFixed(0)} ms`);
  assert.ok(Math.max(...peaks) - early < 32 * 1024, `memory grew from ${early} to ${Math.max(...peaks)} kB`);
  const states = await sql(database, `SELECT state, count(*) AS n FROM letters GROUP BY 1 ORDER BY 1`);
  assert.deepEqual(states, [{ state: 'expired', n: EXPIRED }, { state: 'sent', n: COUNT - EXPIRED + asked.size }]);
});
