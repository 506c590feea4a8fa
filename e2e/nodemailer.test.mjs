// nodemailer reads connection strings and senders, and so does Regain: they agree, or the table of departures in
// docs/connection-strings.md has a row for it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import test from 'node:test';

import {
  AGREED_SENDERS, AGREED_STRINGS, SENDER_DEPARTURES, STRING_DEPARTURES,
} from './data/connection-strings.mjs';
import { run } from './lib/regain.mjs';

const require = createRequire(import.meta.url);
const nodemailer = require('nodemailer');
const MimeNode = require('nodemailer/lib/mime-node');
const SmtpConnection = require('nodemailer/lib/smtp-connection');
const services = require('nodemailer/lib/well-known/services.json');

const ROWS = await departures();

/** What nodemailer takes a string for, in the words of `regain mail inspect`; `null` where it refuses. */
function readByNodemailer(string) {
  let transport;
  try {
    transport = nodemailer.createTransport(string).transporter;
  } catch {
    return null;
  }
  if (!transport.name.startsWith('SMTP')) return { otherTransport: transport.name };
  const { options } = transport;
  const connection = new SmtpConnection(options);
  const pooled = (value) => (options.pool ? value : null);
  const tls = options.tls ?? {};
  const meaning = {
    host: connection.host,
    port: connection.port,
    secure: connection.secureConnection,
    user: options.auth?.user ?? null,
    pass: options.auth?.pass ?? null,
    pool: word(options.pool),
    maxConnections: pooled(options.maxConnections),
    maxMessages: pooled(options.maxMessages),
    rateLimit: pooled(options.rateLimit || null),
    rateDelta: pooled(options.rateDelta || 1000),
    requireTLS: word(options.requireTLS),
    ignoreTLS: word(options.ignoreTLS),
    // Only the word switches the check off.
    'tls.rejectUnauthorized': number(tls.rejectUnauthorized) ?? null,
    'tls.servername': tls.servername ?? options.servername ?? null,
    name: options.name ?? null,
    connectionTimeout: options.connectionTimeout || 120_000,
    greetingTimeout: options.greetingTimeout || 30_000,
    socketTimeout: options.socketTimeout || 600_000,
    opportunisticTLS: word(options.opportunisticTLS),
    'tls.minVersion': tls.minVersion ?? null,
    localAddress: options.localAddress ?? null,
    dnsTimeout: options.dnsTimeout || null,
    authMethod: options.authMethod?.toString().trim().toUpperCase() ?? null,
  };
  meaning.starttls = 'optional';
  if (connection.secureConnection || connection.options.ignoreTLS) meaning.starttls = 'never';
  if (!connection.secureConnection && connection.options.requireTLS) meaning.starttls = 'required';
  return meaning;
}

/** A number in the place of a boolean is one: zero is off. */
const word = (value) => (typeof value === 'number' ? value !== 0 : value ?? null);
/** For `tls.rejectUnauthorized` both are on. */
const number = (value) => (typeof value === 'number' ? true : value);

/** Beyond loopback STARTTLS is required of a relay unless the string says otherwise: the row S1. */
function requiresMore(theirs, ours) {
  const isLoopback = /^(localhost|127\.[\d.]+|::1)$/.test(theirs.host);
  const saysNothing = theirs.requireTLS === null && !theirs.ignoreTLS && !theirs.opportunisticTLS;
  return theirs.starttls === 'optional' && ours.starttls === 'required' && saysNothing && !isLoopback;
}

/** What Regain takes it for, in the keys that nodemailer has too; `null` where it refuses, and says why. */
async function readByRegain(string) {
  const { code, stdout, stderr } = await run(['mail', 'inspect', '--json', '-'], { input: `${string}\n` });
  if (code === 0) return JSON.parse(stdout);
  assert.deepEqual([code, stdout], [1, ''], string);
  assert.match(stderr, /^regain: ./, string);
  return null;
}

/** Both meanings of each string, a few at a time. */
async function readAll(strings, ...readers) {
  const found = new Array(strings.length);
  let next = 0;
  const worker = async () => {
    while (next < strings.length) {
      const index = next++;
      found[index] = await Promise.all(readers.map((read) => read(strings[index])));
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  return found;
}

/** `wanted` with the values that `found` has for its keys, so that a difference shows both sides. */
const among = (wanted, found) => found && Object.fromEntries(Object.keys(wanted).map((key) => [key, found[key]]));

test('strings that are clear mean what nodemailer takes them for', async (t) => {
  const found = await readAll(AGREED_STRINGS, readByNodemailer, readByRegain);
  for (const [index, [theirs, ours]] of found.entries()) {
    const string = AGREED_STRINGS[index];
    if (theirs === null) {
      assert.equal(ours, null, `nodemailer refuses ${string}`);
      continue;
    }
    assert.ok(ours, `${string} is refused`);
    if (requiresMore(theirs, ours)) theirs.starttls = 'required';
    // A pool that nobody asked for has sizes only where the string says them.
    assert.deepEqual(among(theirs, ours), theirs, string);
  }
  t.diagnostic(`${AGREED_STRINGS.length} strings`);
});

test('where Regain departs from nodemailer, the table has a row, and nodemailer does read it otherwise', async (t) => {
  const strings = STRING_DEPARTURES.map(([, string]) => string);
  const found = await readAll(strings, readByNodemailer, readByRegain);
  for (const [index, [theirs, ours]] of found.entries()) {
    const [row, string, wanted] = STRING_DEPARTURES[index];
    assert.ok(ROWS.has(row), `${row} is no row of the table`);
    if (wanted === null) {
      assert.equal(ours, null, `${row}: ${string}`);
      assert.notEqual(theirs, null, `${row}: nodemailer refuses ${string} too`);
      continue;
    }
    assert.deepEqual(among(wanted, ours), wanted, `${row}: ${string}`);
    assert.notDeepEqual(among(wanted, theirs), wanted, `${row}: nodemailer reads ${string} so too`);
    if (theirs) {
      const rest = { ...theirs, ...wanted };
      if (requiresMore(theirs, ours)) rest.starttls = 'required';
      assert.deepEqual(among(rest, ours), rest, `${row}: ${string}`);
    }
  }
  t.diagnostic(`${strings.length} strings`);
});

test('every service of nodemailer is known by each of its keys, and none is sent less safely', async (t) => {
  const key = (name) => name.replace(/[^a-zA-Z0-9.-]/g, '').toLowerCase();
  const presets = Object.entries(services).flatMap(([name, preset]) => {
    const keys = new Set([name, ...(preset.aliases ?? []), ...(preset.domains ?? [])].map(key));
    return [...keys].map((alias) => ({ name, alias, preset }));
  });
  const strings = ['smtp', 'smtps'].flatMap((scheme) =>
    presets.map(({ alias }) => `${scheme}://user:pass@localhost/?service=${alias}`));
  const found = await readAll(strings, readByRegain);
  for (const [index, [ours]] of found.entries()) {
    const { name, preset } = presets[index % presets.length];
    const asksForTls = index >= presets.length;
    // The row U17: 465 is TLS from the first byte, and everything else STARTTLS. A preset without a port takes the scheme's.
    const secure = preset.secure ?? (preset.port === undefined ? asksForTls : Number(preset.port) === 465);
    const host = preset.host ?? 'localhost';
    const isClear = preset.ignoreTLS && !asksForTls;
    const wanted = {
      host,
      port: Number(preset.port ?? (secure ? 465 : 587)),
      secure,
      starttls: secure || isClear ? 'never' : 'required',
      user: 'user',
      pass: 'pass',
      authMethod: preset.authMethod ?? null,
      ignoreTLS: preset.ignoreTLS ?? null,
      service: name,
    };
    assert.deepEqual(among(wanted, ours), wanted, strings[index]);
    if (preset.requireTLS) assert.equal(ours.requireTLS, true, strings[index]);
  }
  assert.deepEqual([Object.keys(services).length, presets.length], [92, 156]);
  t.diagnostic(`${Object.keys(services).length} services with ${presets.length} keys`);
});

/** The first name and address, and how many there are, as nodemailer writes them into header and envelope. */
function senderOfNodemailer(sender) {
  const node = new MimeNode('text/plain');
  node.setHeader('From', sender);
  // A name without an address has no place in the envelope.
  const found = node.getAddresses().from ?? [];
  const addresses = found.map(({ name, address }) => ({ name, address }));
  return { addresses, envelope: node.getEnvelope().from };
}

async function senderOfRegain(sender) {
  const { code, stdout, stderr } = await run(['mail', 'inspect-from', '--json', '-'], { input: `${sender}\n` });
  if (code === 0) return JSON.parse(stdout);
  assert.deepEqual([code, stdout], [1, ''], sender);
  assert.match(stderr, /^regain: ./, sender);
  return null;
}

test('senders that are clear are whom nodemailer takes them for', async (t) => {
  const found = await readAll(AGREED_SENDERS, senderOfNodemailer, senderOfRegain);
  for (const [index, [theirs, ours]] of found.entries()) {
    assert.deepEqual(ours?.addresses, theirs.addresses, AGREED_SENDERS[index]);
    assert.equal(theirs.envelope, ours.addresses[0].address, 'the first is the envelope\'s');
  }
  t.diagnostic(`${AGREED_SENDERS.length} senders`);
});

test('senders at which nodemailer guesses are refused or read plainly', async (t) => {
  const senders = SENDER_DEPARTURES.map(([, sender]) => sender);
  const found = await readAll(senders, senderOfNodemailer, senderOfRegain);
  for (const [index, [theirs, ours]] of found.entries()) {
    const [row, sender, wanted] = SENDER_DEPARTURES[index];
    assert.ok(ROWS.has(row), `${row} is no row of the table`);
    if (wanted === null) {
      assert.equal(ours, null, `${row}: ${sender}`);
      continue;
    }
    const [name, address] = wanted;
    assert.deepEqual(ours.addresses, [{ name, address }], `${row}: ${sender}`);
    assert.notDeepEqual(theirs.addresses, ours.addresses, `${row}: nodemailer reads ${sender} so too`);
  }
  t.diagnostic(`${senders.length} senders`);
});

test('the lists are long enough, and each row of the table has an example', () => {
  assert.ok(AGREED_STRINGS.length >= 120 && AGREED_SENDERS.length >= 40);
  const all = [...AGREED_STRINGS, ...STRING_DEPARTURES.map(([, string]) => string)];
  assert.equal(new Set(all).size, all.length, 'no string is there twice');
  const shown = new Set([...STRING_DEPARTURES, ...SENDER_DEPARTURES].map(([row]) => row));
  for (const row of ROWS) assert.ok(row.startsWith('S') || shown.has(row), `${row} has no example`);
});

/** The rows of the table of departures. */
async function departures() {
  const page = await readFile(new URL('../docs/connection-strings.md', import.meta.url), 'utf8');
  return new Set([...page.matchAll(/^\| ([SUA]\d+) \|/gm)].map(([, row]) => row));
}
