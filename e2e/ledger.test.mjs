// The promise as a whole: while processes are killed, stopped and put to sleep and relays fail in every way, clients write
// down what they were promised; when all faults are over, the books must balance. A minute; `./test nightly` plays ten.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';

import { importAccounts, inParallel, names, PASSWORD } from './lib/accounts.mjs';
import { Chaos } from './lib/chaos.mjs';
import { brokenInvariants, sql, value } from './lib/database.mjs';
import { Promises, Received } from './lib/ledger.mjs';
import { tokenIn } from './lib/mail.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const SECONDS = Number(process.env.E2E_LEDGER_SECONDS ?? 60);
const NEW_PASSWORD = 'a new password';

/** Names that are asked for once each, by what is asked for. */
class Names {
  constructor(kinds) {
    this.left = new Map(Object.entries(kinds));
  }

  take(kind) {
    return this.left.get(kind).shift();
  }
}

test(`what is promised in ${SECONDS} seconds of faults is kept`, async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  const { database } = installation;
  const count = SECONDS * 60;
  const [forReset, forConfirmation] = [names(count, 'reset'), names(Math.ceil(count / 4), 'confirm')];
  await importAccounts(installation, [...forReset, ...forConfirmation]);
  const left = new Names({
    reset: [...forReset],
    confirm: [...forConfirmation],
    register: names(count, 'new'),
    nobody: names(count, 'nobody'),
  });
  const received = new Received(relay);
  const promises = new Promises();
  const serve = () => installation.serve();
  const chaos = new Chaos(relay, received, serve, await serve());
  // A new server is on the same port.
  const { client } = chaos.server;

  const end = performance.now() + SECONDS * 1000;
  let isOver = false;
  const completed = new Map();
  const clients = Array.from({ length: 6 }, async () => {
    while (!isOver) {
      const dice = randomInt(100);
      if (dice < 70) await ask('reset', (name) => client.askForReset(name));
      else if (dice < 82) await ask('confirm', (name) => client.askForConfirmation(name));
      else if (dice < 87) await ask('register', (name) => client.register(name, PASSWORD));
      else if (dice < 93) await ask('nobody', (name) => client.askForReset(name));
      else await complete();
      await pause(randomInt(20, 120));
    }
  });
  async function ask(kind, send) {
    const name = left.take(kind);
    if (name) await promises.ask(name, kind, () => send(name), () => isOver);
  }
  /** Uses up a link that has arrived; the outcome is written down by the token's name. */
  async function complete() {
    const some = [...received.byName.keys()].filter((name) => name.startsWith('reset') && !completed.has(name));
    if (some.length === 0) return;
    const name = some[randomInt(some.length)];
    const [mail] = received.to(name);
    completed.set(name, 'unknown');
    const used = new Promises();
    await used.ask(name, 'complete', () => client.completeReset(tokenIn(mail.raw), NEW_PASSWORD), () => isOver);
    completed.set(name, used.byName.get(name)?.outcome ?? 'unsent');
  }

  const kept = (kind) => promises.names(kind, 'kept');
  const isEnough = () => kept('reset').length >= SECONDS * 3 && kept('confirm').length > 0 && kept('register').length > 0;
  await chaos.play(end);
  // A slow machine gets more of them.
  for (let more = 0; more < 10 && !isEnough(); more += 1) await chaos.play(performance.now() + SECONDS * 500);
  assert.ok(isEnough(), 'there was something to promise');
  isOver = true;
  await Promise.all(clients);
  const drained = performance.now();
  await until('the outbox to drain', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 0, 400_000);
  const totals = ['kept', 'refused', 'unknown'].map((outcome) => `${[...promises.byName.values()].filter((p) => p.outcome === outcome).length} ${outcome}`);
  t.diagnostic(`requests: ${totals.join(', ')}; mails: ${received.byId.size}, copies: ${[...received.byId.values()].reduce((sum, m) => sum + m.copies.length, 0)}`);
  t.diagnostic(`faults: ${JSON.stringify(chaos.faults)}; links used meanwhile: ${completed.size}; drained in ${((performance.now() - drained) / 1000).toFixed(1)} s`);

  const letters = new Map();
  for (const letter of await sql(database, `SELECT name_key, purpose, state, attempts, crashes, last_error FROM letters`)) {
    letters.set(letter.name_key, [...(letters.get(letter.name_key) ?? []), letter]);
  }
  const log = () => chaos.played.join(', ');

  // Whoever was promised a mail has it, or there is a reason.
  const purposes = { reset: 'reset', confirm: 'confirm', register: 'confirm' };
  for (const [kind, purpose] of Object.entries(purposes)) {
    for (const name of kept(kind)) {
      const [letter] = (letters.get(name) ?? []).filter((l) => l.purpose === purpose);
      assert.ok(letter, `the letter for ${name} is gone; ${log()}`);
      const taken = received.to(name).flatMap(({ copies }) => copies).filter(({ mail }) => mail.accepted);
      const isExcused = letter.state === 'superseded' || (['dead', 'expired'].includes(letter.state) && letter.last_error);
      assert.ok(taken.length > 0 ? letter.state === 'sent' || isExcused : isExcused, `${name}: ${JSON.stringify(letter)}, ${taken.length} mails; ${log()}`);
    }
  }
  const states = await sql(database, 'SELECT purpose, state, count(*) AS n FROM letters GROUP BY 1, 2');
  t.diagnostic(JSON.stringify(states));
  assert.equal(states.filter(({ state }) => state === 'dead' || state === 'expired').length, 0, 'faults of relays and processes kill no letter');

  // Copies are the same to the byte. What makes another one: that the relay did not take this one, or a crash since.
  for (const { id, copies, differing } of received.byId.values()) {
    assert.equal(differing, 0, `copies of ${id} differ`);
    const reasons = copies.filter(({ mail }) => !mail.accepted).length + chaos.crashesBetween(copies[0].at, copies.at(-1).at);
    assert.ok(copies.length <= 1 + reasons, `${copies.length} copies of ${id} for ${reasons} reasons; ${log()}`);
  }

  // Nobody has a mail who was not promised one, or may not know.
  for (const name of received.byName.keys()) {
    const asked = promises.byName.get(name);
    assert.ok(asked && asked.kind !== 'nobody' && asked.outcome !== 'refused', `a mail to ${name}: ${JSON.stringify(asked)}`);
  }

  // The latest link of each works, once; those used meanwhile are spent, and their passwords hold.
  const latest = (name, path) => received.to(name).filter(({ raw }) => raw.includes(path)).at(-1);
  const links = kept('reset').filter((name) => !completed.has(name));
  await inParallel(links, 8, async (name) => {
    const page = await fetch(`${client.url}/reset-password?token=${tokenIn(latest(name, 'reset-password').raw)}`);
    assert.equal(page.status, 200, name);
    await page.text();
  });
  await inParallel(links.slice(0, 50), 4, async (name) => {
    const token = tokenIn(latest(name, 'reset-password').raw);
    assert.equal((await client.completeReset(token, NEW_PASSWORD)).status, 200, name);
    assert.equal((await client.completeReset(token, 'another password')).status, 403, name);
    assert.equal((await client.signIn(name, NEW_PASSWORD)).status, 200, name);
  });
  await inParallel([...kept('confirm'), ...kept('register')], 8, async (name) => {
    const token = tokenIn(latest(name, 'confirm-email').raw);
    assert.equal((await client.confirm(token)).status, 200, name);
    assert.equal((await client.confirm(token)).status, 403, name);
  });
  for (const [name, outcome] of [...completed].slice(0, 50)) {
    const token = tokenIn(latest(name, 'reset-password').raw);
    const isNew = (await client.signIn(name, NEW_PASSWORD)).status === 200;
    if (outcome === 'kept') assert.ok(isNew, `${name} was told that the password is new`);
    if (outcome === 'refused') assert.ok(!isNew, `${name} was told that nothing was done`);
    assert.equal((await client.completeReset(token, NEW_PASSWORD)).status, isNew ? 403 : 200, name);
  }
  await until('the last notices', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 0);
  assert.deepEqual(await brokenInvariants(database), {});
  assert.equal((await chaos.server.stop()).code, 0);
});
