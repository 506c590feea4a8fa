// No secret is at rest in a log or in the database, and no answer tells whether an account exists.

import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';

import { rawExchange, rawRequest } from './lib/client.mjs';
import { isPostgres } from './lib/database.mjs';
import { onlyLink, parseMail, tokenOf } from './lib/mail.mjs';
import { dump, Postgres } from './lib/postgres.mjs';
import { Installation, onPostgres } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';

const NAME = 'marker-ann@secret-domain.example';
const FIRST = 'first-password-marker-0417';
const SECOND = 'second-password-marker-9313';
const RELAY_PASSWORD = 'relay-password-marker-2718';
const DATABASE_PASSWORD = 'database-password-marker-1414';
const CLIENT_IP = '203.0.113.77';

/** The ways in which a secret may be written down. */
function forms(secret) {
  const bytes = [Buffer.from(secret)];
  if (/^[0-9a-f]{64}$/.test(secret)) bytes.push(Buffer.from(secret, 'hex'));
  return bytes.flatMap((b) => [
    b,
    ...['hex', 'base64url'].map((encoding) => Buffer.from(b.toString(encoding))),
    Buffer.from(b.toString('hex').toUpperCase()),
    // A little of the end depends on what follows.
    Buffer.from(b.toString('base64').replace(/.?=*$/, '')),
    Buffer.from([...b].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')),
    Buffer.from([...b].join(', ')),
  ]);
}

const holds = (haystack, secret) => forms(secret).some((form) => haystack.includes(form));

/** All files under a directory, as one: `[[path, bytes]]`. */
async function filesUnder(directory) {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.path, entry.name));
  return Promise.all(files.map(async (file) => [file, await readFile(file)]));
}

/** What is at rest: the files of the data path, and the database where it is in PostgreSQL. */
async function atRest({ data, database }) {
  const files = await filesUnder(data);
  return isPostgres(database) ? [...files, ['the database', await dump(database)]] : files;
}

/** An installation whose relay, and whose PostgreSQL where there is one, is logged into with a password. */
async function withPasswords(t, relay, settings = {}) {
  const url = `smtp://mailer:${RELAY_PASSWORD}@localhost:${relay.port}`;
  if (!onPostgres) return Installation.make(t, { relay: url, settings });
  const database = new URL(await (await Postgres.shared()).database());
  database.password = DATABASE_PASSWORD;
  return Installation.make(t, { relay: url, settings, database: database.href });
}

test('both flows at the most talkative log level leave no secret in the log and none in the data path', async (t) => {
  const relay = await ScriptedRelay.start(t, { auth: true });
  const installation = await withPasswords(t, relay, { trustedProxies: ['127.0.0.1'] });
  const server = await installation.serve({ env: { REGAIN_LOG: 'trace' } });
  const proxied = { 'x-forwarded-for': CLIENT_IP };
  const send = (path, json) => server.client.send('POST', path, json, proxied);
  const update = (data, providerId) => send('/auth/password/updateAccount', { provider_id: providerId, data });
  const tokenIn = async (mail) => tokenOf(onlyLink((await parseMail(mail.raw)).text));

  const registered = await send('/auth', { provider: 'password', data: NAME, user_info: { password: FIRST, register: true } });
  assert.equal(registered.status, 200, registered.text);
  const confirmation = await tokenIn(await relay.mail(NAME));
  assert.equal((await server.client.send('GET', `/confirm-email?token=${confirmation}`, undefined, proxied)).status, 200);
  assert.equal((await update({ action: 'confirm_email', token: confirmation })).status, 200);

  assert.equal((await update({ action: 'reset_password' }, NAME)).status, 200);
  const mail = await relay.mail(NAME, { count: 2 });
  const reset = await tokenIn(mail);
  assert.match((await parseMail(mail.raw)).text, new RegExp(CLIENT_IP.replaceAll('.', '\\.')), 'the marker is in use');
  const check = async (moment) => {
    for (const [file, bytes] of await atRest(installation)) {
      for (const secret of [confirmation, reset, FIRST, SECOND, RELAY_PASSWORD, DATABASE_PASSWORD]) {
        assert.ok(!holds(bytes, secret), `${file} holds a secret ${moment}`);
      }
    }
  };
  await check('while the link is good');
  assert.equal((await server.client.send('GET', `/reset-password?token=${reset}`, undefined, proxied)).status, 200);
  const form = new URLSearchParams({ token: reset, password: SECOND, 'password-repeated': SECOND });
  const posted = await server.client.send('POST', '/reset-password', form.toString(),
    { ...proxied, 'content-type': 'application/x-www-form-urlencoded' });
  assert.equal(posted.status, 200);
  assert.equal((await update({ action: 'complete_reset', token: reset, new_password: FIRST })).status, 403);
  const signIn = await send('/auth', { provider: 'password', data: NAME, user_info: { password: SECOND, register: false } });
  const session = signIn.body.refresh_token.token;
  assert.equal((await server.client.revoke(session)).status, 200);
  await relay.mail(NAME, { count: 3 });
  await check('after its use');
  await server.stop();
  await check('after a stop');

  const log = Buffer.from(server.output);
  assert.ok(log.length > 1000, 'there is a log at this level');
  const [sessionData, signature] = session.split(':');
  const secrets = { confirmation, reset, FIRST, SECOND, RELAY_PASSWORD, DATABASE_PASSWORD, NAME, local: NAME.split('@')[0], CLIENT_IP, sessionData, signature };
  for (const [what, secret] of Object.entries(secrets)) {
    assert.ok(!holds(log, secret), `the log holds ${what}`);
  }
  // The files were searched for something that is there, so the search works.
  assert.ok((await atRest(installation)).some(([, bytes]) => bytes.includes(NAME)));
});

test('what operators are shown holds no secret and outsiders cannot read the keys', async (t) => {
  const relay = await ScriptedRelay.start(t, { auth: true });
  const installation = await withPasswords(t, relay);
  await installation.serve();
  for (const args of [['config', 'show', '--config', installation.file], ['check', '--config', installation.file], ['outbox', 'list', '--config', installation.file]]) {
    const { code, stdout, stderr } = await installation.run(args);
    assert.equal(code, 0, `${args}: ${stderr}`);
    for (const secret of [RELAY_PASSWORD, DATABASE_PASSWORD]) assert.ok(!holds(Buffer.from(stdout + stderr), secret), args.join(' '));
  }
  assert.equal((await stat(installation.data)).mode & 0o077, 0);
  for (const entry of await readdir(installation.data, { withFileTypes: true, recursive: true })) {
    assert.equal((await stat(join(entry.path, entry.name))).mode & 0o077, 0, entry.name);
  }
});

for (const [limits, what] of [[{ perClient: false }, 'without limits for clients'], [undefined, 'with all limits']]) {
  test(`answers for known and unknown addresses are the same bytes, ${what}`, async (t) => {
    const relay = await ScriptedRelay.start(t);
    const installation = await Installation.make(t, { relay: relay.url, settings: { limits } });
    const server = await installation.serve();
    assert.equal((await server.client.register('known@example.org', FIRST)).status, 200);
    await relay.mail('known@example.org');

    const json = { 'Content-Type': 'application/json' };
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const action = (name) => (address) =>
      rawRequest('POST', '/auth/password/updateAccount', JSON.stringify({ provider_id: address, data: { action: name } }), json);
    const requests = {
      'asking for a reset': action('reset_password'),
      'asking for a confirmation': action('request_email_confirmation'),
      'asking on the page': (address) => rawRequest('POST', '/reset-password', new URLSearchParams({ email: address }).toString(), form),
    };
    const answer = async (bytes) =>
      (await rawExchange(server.port, bytes)).toString('latin1').replace(/^date: .*\r\n/im, '');
    for (const [asking, request] of Object.entries(requests)) {
      const answers = new Set();
      // Names of one length: bodies echo none of it, and Content-Length of the request is no answer.
      for (let i = 0; i < 20; i += 1) {
        answers.add(await answer(request('known@example.org')));
        answers.add(await answer(request('other@example.org')));
      }
      assert.equal(answers.size, 1, `${asking}:\n${[...answers].join('\n---\n')}`);
      assert.match([...answers][0], /^HTTP\/1\.1 200 /);
    }
  });
}

test('a wrong password, an unknown name and a taken name are answered by the same bytes', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  const server = await installation.serve();
  assert.equal((await server.client.register('known@example.org', FIRST)).status, 200);
  const answers = new Set();
  for (const [name, register] of [['known@example.org', false], ['other@example.org', false], ['known@example.org', true], ['KNOWN@example.org', true]]) {
    const body = JSON.stringify({ provider: 'password', data: name, user_info: { password: SECOND, register } });
    const bytes = await rawExchange(server.port, rawRequest('POST', '/auth', body, { 'Content-Type': 'application/json' }));
    answers.add(bytes.toString('latin1').replace(/^date: .*\r\n/im, ''));
  }
  assert.equal(answers.size, 1, [...answers].join('\n---\n'));
  assert.match([...answers][0], /^HTTP\/1\.1 401 /);
});
