// Ten thousand letters that an outage has left: the relay is not run over, nobody who asks now waits for them, memory stays.

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

/** A relay's traffic as it went by: connections open at once, how many mails had been taken when each one came. */
function watch(relay) {
  const seen = { most: 0, mostAtFirst: 0, place: new Map(), copies: 0 };
  let busy = 0;
  relay.script.mail = () => {
    busy += 1;
    seen.most = Math.max(seen.most, busy);
    if (seen.place.size < 2) seen.mostAtFirst = Math.max(seen.mostAtFirst, busy);
  };
  relay.script.dot = async (session) => {
    await pause(8);
    busy -= 1;
    const [to] = session.envelope.to;
    if (seen.place.has(to)) seen.copies += 1;
    seen.place.set(to, seen.place.size);
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
      assert.equal((await server.client.askForReset(name)).status, 200);
      asked.set(name, seen.place.size);
      await pause(200);
    }
  })();
  await relay.listen();
  await until('the first mails', () => seen.place.size > 500);
  const [early, begun] = [await memory(), performance.now()];
  const open = () => value(database, 'SELECT sum(open) FROM outbox');
  const peaks = [];
  await until('the outbox to drain', async () => {
    peaks.push(await memory());
    await pause(250);
    return seen.place.size >= COUNT - EXPIRED;
  }, 600_000);
  const took = (performance.now() - begun) / 1000;
  isDraining = false;
  await asking;
  await until('the last ones', async () => (await open()) === 0);

  // How many went before it that were not there first; negative where it went out before its request was answered.
  const before = [...asked].map(([name, place]) => (seen.place.get(name) ?? Infinity) - place).sort((a, b) => a - b);
  const p95 = before[Math.floor(before.length * 0.95)];
  t.diagnostic(`${(COUNT / took).toFixed(0)} mails a second; at most ${seen.most} at once, ${seen.mostAtFirst} at first; ` +
    `before a fresh mail went ${p95} others (p95 of ${before.length}); memory ${early} kB, at most ${Math.max(...peaks)} kB`);
  assert.equal(seen.copies, 0);
  assert.ok(seen.most <= 5, `${seen.most} deliveries at once`);
  assert.ok(seen.mostAtFirst <= 2, `${seen.mostAtFirst} deliveries at once in the beginning`);
  assert.ok(before.length >= 10 && p95 < COUNT / 10, `${p95} went before a fresh mail`);
  assert.ok(Math.max(...peaks) - early < 32 * 1024, `memory grew from ${early} to ${Math.max(...peaks)} kB`);
  const states = await sql(database, `SELECT state, count(*) AS n FROM letters GROUP BY 1 ORDER BY 1`);
  assert.deepEqual(states, [{ state: 'expired', n: EXPIRED }, { state: 'sent', n: COUNT - EXPIRED + asked.size }]);
});
