// What Prometheus would read at /metrics, by the parser of its own client, after letters of all kinds and a relay at fault.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parse, scrape } from './lib/metrics.mjs';
import { freePort } from './lib/place.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { until } from './lib/wait.mjs';

/** The parser leaves `_total` out of the names of counters. */
const FAMILIES = {
  regain_build_info: 'gauge',
  regain_up: 'gauge',
  regain_degraded: 'gauge',
  regain_database_up: 'gauge',
  regain_outbox_open: 'gauge',
  regain_outbox_oldest_seconds: 'gauge',
  regain_outbox_dead: 'gauge',
  regain_outbox_waiting: 'gauge',
  regain_outbox_due: 'gauge',
  regain_outbox_put_off: 'gauge',
  regain_outbox_late_seconds: 'gauge',
  regain_outbox_claimed: 'gauge',
  regain_mail_budget: 'gauge',
  regain_mail_budget_used: 'gauge',
  regain_letters_sent: 'counter',
  regain_letters_put_off: 'counter',
  regain_letters_released: 'counter',
  regain_letters_dead: 'counter',
  regain_letters_expired: 'counter',
  regain_letters_dropped: 'counter',
  regain_letters_superseded: 'counter',
  regain_letters_over_budget: 'counter',
  regain_mails_perhaps_twice: 'counter',
  regain_delivery_seconds: 'histogram',
  regain_relay_state: 'gauge',
  regain_relay_accepted: 'counter',
  regain_relay_faults: 'counter',
  regain_relay_under_way: 'gauge',
};

/** All that a label may say. */
const LABELS = {
  version: /^\d+\.\d+\.\d+$/,
  purpose: /^(reset|confirm|password_changed)$/,
  reason: /^(refused|crashed|unreadable|unattempted|relay|put_off)$/,
  relay: /^[12]$/,
  state: /^(open|recovering|resting|paused)$/,
  le: /^(\d+(\.\d+)?|\+Inf)$/,
};

const NAMES = ['sent@one.test', 'dead@two.test', 'later@three.test', 'held@four.test'];

/** The metrics at the start, and after letters that were sent, refused, put off and held back, one relay being down. */
async function written() {
  const ends = [];
  const owner = { after: (end) => ends.push(end) };
  try {
    const gone = `smtp://127.0.0.1:${await freePort()}`;
    const relay = await ScriptedRelay.start(owner);
    const adminAddress = `127.0.0.1:${await freePort()}`;
    const installation = await Installation.make(owner, {
      relay: [gone, relay.url],
      settings: { adminAddress, limits: { perClient: false, mailPerHour: 1 } },
    });
    const server = await installation.serve();
    const first = await scrape(adminAddress);
    const [sent, dead, later, held] = NAMES;
    const register = async (name) => assert.equal((await server.client.register(name, 'first password')).status, 200);
    const count = (line) => until(line, async () => (await scrape(adminAddress)).split('\n').includes(line));
    relay.script.rcpt = '550 5.1.1 no such user';
    await register(dead);
    await count('regain_letters_dead_total{reason="refused"} 1');
    relay.script.rcpt = '450 4.2.1 later';
    await register(later);
    await count('regain_letters_put_off_total 1');
    relay.behave();
    await register(sent);
    await count('regain_letters_sent_total 1');
    await register(held);
    await count('regain_letters_over_budget_total 1');
    return { first, last: await scrape(adminAddress) };
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

const { first, last } = await written();
const told = { first: await parse(first), last: await parse(last), text: last };

test('all families are there once, of their types, with words of help', () => {
  for (const families of [told.first, told.last]) {
    assert.deepEqual(Object.fromEntries(families.map(({ name, type }) => [name, type])), FAMILIES);
    assert.equal(families.length, Object.keys(FAMILIES).length, 'none is there twice');
    for (const { name, help, samples } of families) {
      assert.match(help, /^[A-Z1].*\.$/, name);
      assert.ok(samples.length > 0, name);
    }
  }
});

test('every sample is a number that nothing else says again, and counters never go down', () => {
  const values = (families) => new Map(families.flatMap(({ samples }) => samples).map((one) => [`${one.name} ${JSON.stringify(one.labels)}`, one.value]));
  for (const families of [told.first, told.last]) {
    const samples = families.flatMap((family) => family.samples);
    for (const { name, value } of samples) assert.ok(typeof value === 'number' && value >= 0, `${name} ${value}`);
    assert.equal(values(families).size, samples.length);
  }
  const [before, after] = [values(told.first), values(told.last)];
  assert.deepEqual([...before.keys()], [...after.keys()], 'series neither come nor go');
  for (const { type, samples } of told.first) {
    if (type === 'gauge') continue;
    for (const { name, labels } of samples) {
      const key = `${name} ${JSON.stringify(labels)}`;
      assert.ok(after.get(key) >= before.get(key), key);
    }
  }
});

test('the histogram has buckets that grow up to its count', () => {
  for (const [families, count] of [[told.first, 0], [told.last, 1]]) {
    const { samples } = families.find(({ type }) => type === 'histogram');
    const buckets = samples.filter(({ name }) => name === 'regain_delivery_seconds_bucket');
    const bounds = buckets.map(({ labels }) => Number(labels.le.replace('+Inf', 'Infinity')));
    const values = buckets.map(({ value }) => value);
    assert.ok(bounds.length > 2 && bounds.at(-1) === Infinity);
    for (let at = 1; at < bounds.length; at += 1) {
      assert.ok(bounds[at] > bounds[at - 1], `${bounds}`);
      assert.ok(values[at] >= values[at - 1], `${values}`);
    }
    const one = (name) => samples.find((sample) => sample.name === `regain_delivery_seconds_${name}`).value;
    assert.deepEqual([values.at(-1), one('count')], [count, count]);
    assert.equal(one('sum') > 0, count > 0);
  }
});

test('labels say nothing of anybody, and the text has no address in it', () => {
  for (const { name, samples } of told.last) {
    for (const { labels } of samples) {
      for (const [label, value] of Object.entries(labels)) assert.match(value, LABELS[label] ?? /^there is no such label$/, `${name} ${label}`);
    }
  }
  for (const part of ['@', '127.0.0.1', ...NAMES.flatMap((name) => name.split('@')[1])]) assert.ok(!told.text.includes(part), part);
});

test('what the parser reads is what has happened', () => {
  const value = (name, labels = {}) => {
    const all = told.last.flatMap(({ samples }) => samples).filter((sample) => sample.name === name);
    return all.find((sample) => Object.entries(labels).every(([label, text]) => sample.labels[label] === text)).value;
  };
  assert.equal(value('regain_letters_sent_total'), 1);
  assert.equal(value('regain_letters_dead_total', { reason: 'refused' }), 1);
  assert.equal(value('regain_letters_put_off_total'), 1);
  assert.equal(value('regain_outbox_waiting', { purpose: 'confirm' }), 2);
  assert.deepEqual([value('regain_mail_budget'), value('regain_mail_budget_used')], [1, 1]);
  assert.equal(value('regain_relay_accepted_total', { relay: '2' }), 1);
  assert.ok(value('regain_relay_faults_total', { relay: '1' }) >= 1);
  // Its rest may be over by now.
  const isTried = ['resting', 'recovering'].map((state) => value('regain_relay_state', { relay: '1', state }));
  assert.deepEqual(isTried.sort(), [0, 1]);
  assert.equal(value('regain_relay_state', { relay: '2', state: 'open' }), 1);
});
