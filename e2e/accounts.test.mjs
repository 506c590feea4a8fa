// The accounts in the operator's hands: brought in from ROS and elsewhere, taken out, disabled and enabled, beside a
// running server. Hashes to bring in were made by others: Node's crypto, libxcrypt, and the reference code of Argon2.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';

import { rawExchange, rawRequest } from './lib/client.mjs';
import { onlyLink, parseMail, tokenOf } from './lib/mail.mjs';
import { temporaryDirectory } from './lib/place.mjs';
import { Installation, onPostgres } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { adminToken } from './lib/tokens.mjs';
import { until } from './lib/wait.mjs';

const EXPORT_SCRIPT = new URL('../docs/export-from-ros/export.js', import.meta.url).pathname;
const STAND_IN = new URL('../docs/export-from-ros/testing/realm.js', import.meta.url).pathname;

/** As ROS stores a password. */
function rosRecord(password) {
  const [salt, iterations, keyLength, digest] = [randomBytes(32), 10_000, 512, 'sha512'];
  const hash = pbkdf2Sync(password, salt, iterations, keyLength, digest);
  return { salt: salt.toString('base64'), iterations, keyLength, digest, hash: hash.toString('base64') };
}

/** Scheme, password and hash. */
const SCHEMES = [
  ['pbkdf2-sha512', 'ros password', rosRecord('ros password')],
  ['bcrypt', 'bcrypt password', '$2b$10$Qk8gW1zY0bYxv4mU3d5K7eXdViZnTTRKWQoSVy9Ad0We4ixKBw1bi'],
  ['argon2id', 'argon password', '$argon2id$v=19$m=4096,t=3,p=1$Fc1wxsNCRQVyn3Wbl0vEHg$vxP0b5qhF59hRoFBs5YZeNC7wvogIyAA92vvhP/Ledg'],
];

const lines = (accounts) => accounts.map((account) => `${JSON.stringify(account)}\n`).join('');
const parse = (text) => text.trimEnd().split('\n').map((line) => JSON.parse(line));

/** Writes `text` into a file of this installation, and answers its path. */
async function file(installation, name, text) {
  const path = join(installation.directory, name);
  await writeFile(path, text);
  return path;
}

/** The answer's bytes, but for the time. */
const bytes = async (server, ...request) =>
  (await rawExchange(server.port, rawRequest(...request))).toString('latin1').replace(/^date: .*\r\n/im, '');
const JSON_TYPE = { 'Content-Type': 'application/json' };

// Each row is a message of its own on the way to PostgreSQL, which takes its time in a build for tests.
const COUNT = onPostgres ? 25_000 : 100_000;

test(`${COUNT} accounts come in beside a running server, whatever hashed their passwords`, async (t) => {
  const installation = await Installation.make(t, { mail: null });
  const server = await installation.serve();
  assert.equal((await server.client.register('before@example.org', 'first password')).status, 200);
  const hashes = [...SCHEMES.map(([, , hash]) => hash), null];
  const accounts = Array.from({ length: COUNT }, (_, i) => ({
    user_id: `user-${i}`,
    provider_id: `user${i}@example.org`,
    isEmailConfirmed: i % 2 === 0,
    metadata: i % 3 === 0 ? { number: String(i) } : {},
    password: hashes[i % hashes.length],
  }));
  const path = await file(installation, 'accounts.jsonl', lines(accounts));

  const builtin = { authorization: adminToken(installation.data) };
  const shown = (id) => server.client.send('GET', `/auth/users/${id}`, undefined, builtin);
  let isDone = false;
  const imported = installation.users(['import', path, '--json'], { ms: 600_000 }).finally(() => (isDone = true));
  // All is checked before anything is written, and both take their time.
  await until('the first account to be there', async () => isDone || (await shown('user-0')).status === 200, 600_000);
  let beside = 0;
  for (let i = 0; i < 5 && !isDone; i += 1) {
    assert.equal((await server.client.register(`during${i}@example.org`, 'first password')).status, 200);
    if (!isDone) beside += 1;
  }
  assert.ok(beside > 0, 'the server went on while accounts were added');
  const summary = JSON.parse(await imported);
  t.diagnostic(`imported in ${summary.seconds.toFixed(1)} s, ${beside} signed up beside it`);
  assert.deepEqual([summary.added, summary.conflicts, summary.withoutPassword], [COUNT, 0, COUNT / 4]);
  assert.deepEqual(summary.schemes, { argon2id: COUNT / 4, bcrypt: COUNT / 4, 'pbkdf2-sha512': COUNT / 4 });

  const scheme = async (i) => JSON.parse(await installation.users(['show', `user${i}@example.org`, '--json'])).passwordScheme;
  for (const [at, [name, password]] of SCHEMES.entries()) {
    const i = COUNT - 4 + at;
    assert.equal(await scheme(i), name);
    assert.equal((await server.client.signIn(`user${i}@example.org`, `${password}.`)).status, 401);
    assert.equal(await scheme(i), name, 'a wrong password changes nothing');
    const { status, body } = await server.client.signIn(`User${i}@Example.org`, password);
    assert.equal(status, 200, name);
    assert.equal(body.refresh_token.token_data.identity, `user-${i}`);
    assert.equal(await scheme(i), 'argon2id');
    assert.equal((await server.client.signIn(`user${i}@example.org`, password)).status, 200, 'and again, by the new hash');
    assert.equal((await server.client.signIn(`user${i}@example.org`, `${password}.`)).status, 401);
  }
  for (const password of ['', 'ros password']) assert.equal((await server.client.signIn(`user${COUNT - 1}@example.org`, password)).status, 401);
  assert.equal(await scheme(COUNT - 1), null);

  const entries = [{ key: 'isEmailConfirmed', value: 'true' }, { key: 'number', value: String(COUNT - 4) }];
  assert.deepEqual((await shown(`user-${COUNT - 4}`)).body.metadata, entries);
});

test('an export is imported elsewhere and comes out the same to the byte, hashes and all', async (t) => {
  const [here, there] = [await Installation.make(t, { mail: null }), await Installation.make(t, { mail: null })];
  const accounts = Array.from({ length: 900 }, (_, i) => ({
    user_id: `id.${i}`,
    provider_id: ['zoë', '日本', 'o"ne\\two', 'ANN'][i % 4] + i,
    is_disabled: i % 7 === 0,
    isEmailConfirmed: i % 2 === 0,
    metadata: i % 3 === 0 ? { 'a "key"': 'a\nvalue', ü: '' } : {},
    password: SCHEMES[i % 3][2],
  }));
  const machine = { user_id: 'backup', provider: 'realm', provider_id: 'backup', is_admin: true };
  const first = await file(here, 'first.jsonl', lines([...accounts, machine]));
  const added = JSON.parse(await here.users(['import', first, '--json']));
  assert.equal(added.added, 901);
  const again = JSON.parse(await here.users(['import', first, '--json']));
  assert.deepEqual([again.added, again.alreadyThere], [0, 901], 'a second time it adds nothing');

  const exported = join(here.directory, 'exported.jsonl');
  await here.users(['export', exported]);
  assert.equal((await stat(exported)).mode & 0o777, 0o600);
  const text = await readFile(exported, 'utf8');
  const byId = new Map(parse(text).map((account) => [account.user_id, account]));
  assert.equal(byId.size, 901);
  for (const { password, ...account } of accounts) {
    const { password: hash, ...kept } = byId.get(account.user_id);
    assert.deepEqual(kept, { provider: 'password', is_admin: false, ...account });
    assert.equal(typeof hash, 'string');
  }

  await there.users(['import', exported]);
  assert.equal(await there.users(['export']), text);
  const server = await there.serve();
  for (const i of [1, 2, 3]) {
    const { provider_id: name } = accounts[i];
    assert.equal((await server.client.signIn(name, SCHEMES[i % 3][1])).status, 200, name);
  }
  const taken = await here.run(['users', 'export', exported, '--config', here.file]);
  assert.equal(taken.code, 1, 'nothing is overwritten');
});

test('of a file with mistakes every bad line is named, and nothing is written', async (t) => {
  const installation = await Installation.make(t, { mail: null });
  const server = await installation.serve();
  await server.client.register('there@example.org', 'first password');
  const ann = { user_id: 'ann', provider_id: 'ann@example.org' };
  const bad = [
    [JSON.stringify(ann)],
    ['{"provider_id": "cut@example.org"', /JSON/],
    ['["list@example.org"]', /object/],
    [JSON.stringify({ user_id: 'nameless' }), /provider_id/],
    [JSON.stringify({ provider_id: 'unknown@example.org', colour: 'red' }), /colour/],
    ['{"provider_id": "twice@example.org", "provider_id": "thrice@example.org"}', /provider_id/],
    [JSON.stringify({ provider_id: 'google@example.org', provider: 'google' }), /provider/],
    [JSON.stringify({ provider_id: 'nul\0@example.org' }), /provider_id/],
    [JSON.stringify({ provider_id: 'flag@example.org', is_admin: 'false' }), /is_admin/],
    [JSON.stringify({ provider_id: 'number@example.org', metadata: { a: 1 } }), /metadata/],
    [JSON.stringify({ provider_id: 'hash@example.org', password: '$md5$abc' }), /password/],
    [JSON.stringify({ provider_id: 'short@example.org', password: { ...rosRecord('x'), keyLength: 64 } }), /password/],
    [JSON.stringify({ provider_id: 'slow@example.org', password: { ...rosRecord('x'), iterations: 2 ** 40 } }), /password/],
    [JSON.stringify({ provider_id: 'root@example.org', is_admin: true, password: rosRecord('') }), /administrator/],
    [JSON.stringify({ ...ann, provider_id: 'other@example.org' }), /line 1$/],
    [JSON.stringify({ ...ann, user_id: 'other' }), /line 1$/],
    [JSON.stringify({ provider_id: 'ANN@example.org' }), /line 1\b/],
    [JSON.stringify({ user_id: 'third', provider_id: 'there@example.org' }), /has this provider_id/],
    [''], // Counted, and nothing else.
  ];
  const path = await file(installation, 'bad.jsonl', bad.map(([line]) => `${line}\n`).join(''));
  for (const more of [['--dry-run'], []]) {
    const { code, stdout, stderr } = await installation.run(['users', 'import', path, ...more, '--config', installation.file]);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    const named = new Map(stderr.split('\n').flatMap((line) => {
      const found = /bad\.jsonl:(\d+): (.*)$/.exec(line);
      return found ? [[Number(found[1]), found[2]]] : [];
    }));
    const wrong = bad.flatMap(([, reason], i) => (reason ? [i + 1] : []));
    assert.deepEqual([...named.keys()], wrong, stderr);
    for (const number of wrong) assert.match(named.get(number), bad[number - 1][1]);
    assert.doesNotMatch(stderr, /@example\.org/, 'no name is shown');
  }
  const names = JSON.parse(await installation.users(['list', '--json', '--reveal'])).map(({ name }) => name);
  assert.deepEqual(names, ['there@example.org']);
});

test('what the operator does to an account beside a running server holds at its next request', async (t) => {
  const installation = await Installation.make(t, { mail: null });
  const { client } = await installation.serve();
  const [name, password] = ['root@example.org', 'first password'];
  await installation.users(['create', name, '--admin'], { input: `${password}\n` });
  const again = await installation.run(['users', 'create', name, '--config', installation.file], { input: `${password}\n` });
  assert.equal(again.code, 1, 'the name is taken');
  const session = async (password) => (await client.signIn(name, password)).body.refresh_token;
  const { token, token_data: claims } = await session(password);
  assert.equal(claims.is_admin, true);
  const providers = async (token) => (await client.send('GET', '/auth/providers', undefined, { authorization: token })).status;
  assert.equal(await providers(token), 200);
  await installation.users(['revoke-admin', name]);
  assert.equal(await providers(token), 403);
  await installation.users(['grant-admin', name]);
  assert.equal(await providers(token), 200);

  await installation.users(['set-password', name], { input: 'second password\n' });
  assert.equal(await providers(token), 401, 'its sessions end');
  assert.equal(await session(password), undefined);
  const { token: next } = await session('second password');
  assert.equal(await providers(next), 200);
  const unsure = await installation.run(['users', 'delete', name, '--config', installation.file]);
  assert.equal(unsure.code, 1, 'without a terminal it has to be said that it is meant');
  await installation.users(['delete', name, '--yes']);
  assert.equal(await providers(next), 401);
  assert.equal(await session('second password'), undefined);

  const before = adminToken(installation.data);
  const reissued = await installation.run(['keys', 'admin-token', '--config', installation.file]);
  assert.equal(reissued.code, 0, reissued.stderr);
  assert.ok(!`${reissued.stdout}${reissued.stderr}`.includes(adminToken(installation.data)), 'it is not shown');
  assert.deepEqual([await providers(before), await providers(adminToken(installation.data))], [401, 200]);
});

test('a disabled account looks like one with another password, its links like none, and enabling brings no session back', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url, settings: { limits: { perClient: false, perAddress: false } } });
  const server = await installation.serve();
  const { client } = server;
  const [name, password] = ['ann@example.org', 'first password'];
  const tokenIn = async (mail) => tokenOf(onlyLink((await parseMail(mail.raw)).text));
  const registered = (await client.register(name, password)).body.refresh_token;
  const confirmation = await tokenIn(await relay.mail(name));
  await client.askForReset(name);
  const reset = await tokenIn(await relay.mail(name, { count: 2 }));

  await installation.users(['disable', name]);
  const signIn = (password) => bytes(server, 'POST', '/auth', JSON.stringify({ provider: 'password', data: name, user_info: { password, register: false } }), JSON_TYPE);
  const update = (data) => bytes(server, 'POST', '/auth/password/updateAccount', JSON.stringify({ data }), JSON_TYPE);
  const complete = (token) => update({ action: 'complete_reset', token, new_password: 'second password' });
  const confirm = (token) => update({ action: 'confirm_email', token });
  const form = (path, fields) => bytes(server, 'POST', path, new URLSearchParams(fields).toString(), { 'Content-Type': 'application/x-www-form-urlencoded' });
  const resetPage = (token) => form('/reset-password', { token, password: 'second password', 'password-repeated': 'second password' });
  const confirmPage = (token) => form('/confirm-email', { token });
  const unknown = 'f'.repeat(64);

  const isRefused = async () => {
    for (const attempt of [complete, confirm, resetPage, confirmPage]) {
      const good = attempt === complete || attempt === resetPage ? reset : confirmation;
      // The form shows the token again; all else is the same.
      const [ours, other] = [(await attempt(good)).replaceAll(good, ''), (await attempt(unknown)).replaceAll(unknown, '')];
      assert.match(ours, /^HTTP\/1\.1 40[03] /);
      assert.equal(ours, other);
    }
  };
  const wrong = await signIn('a wrong password');
  assert.match(wrong, /^HTTP\/1\.1 401 /);
  assert.equal(await signIn(password), wrong);
  const own = () => client.send('GET', `/auth/users/${registered.token_data.identity}`, undefined, { authorization: registered.token });
  const trade = () => client.send('POST', '/auth', { provider: 'realm', data: registered.token });
  assert.deepEqual([(await own()).status, (await own()).body.code], [401, 611]);
  assert.deepEqual([(await trade()).status, (await trade()).body.code], [403, 614]);
  await isRefused();

  for (const ask of ['askForReset', 'askForConfirmation']) {
    const [ours, other] = [await client[ask](name), await client[ask]('nobody@example.org')];
    assert.deepEqual([ours.status, ours.text], [200, '{}']);
    assert.equal(ours.text, other.text);
  }
  await until('the letters to be closed', async () => (await installation.letters()).every(({ state }) => state !== 'waiting' && state !== 'claimed'));
  assert.equal(relay.mails.length, 2, 'nobody is written to');
  const shown = async () => JSON.parse(await installation.users(['show', name, '--json']));
  assert.deepEqual([(await shown()).isDisabled, (await shown()).isEmailConfirmed], [true, false]);

  await installation.users(['enable', name]);
  const signedIn = await client.signIn(name, password);
  assert.equal(signedIn.status, 200, 'the password is as it was');
  assert.equal(signedIn.body.refresh_token.token_data.identity, registered.token_data.identity);
  assert.deepEqual([(await own()).status, (await trade()).status], [401, 403], 'the session of before stays ended');
  assert.match(await complete(reset), /^HTTP\/1\.1 403 /, 'and its reset link dead');
  await client.askForReset(name);
  assert.equal((await client.completeReset(await tokenIn(await relay.mail(name, { count: 3 })), 'second password')).status, 200);
  assert.equal((await client.signIn(name, 'second password')).status, 200);
});

test('what is kept with an account stays when its address is confirmed and when it signs in', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  const [name, password] = ['ann@example.org', 'ros password'];
  const metadata = { plan: 'gold', team: 'core' };
  await installation.users(['import', await file(installation, 'one.jsonl', lines([{ user_id: 'ann', provider_id: name, metadata, password: SCHEMES[0][2] }]))]);
  const server = await installation.serve();
  await server.client.askForConfirmation(name);
  const token = tokenOf(onlyLink((await parseMail((await relay.mail(name)).raw)).text));
  assert.equal((await server.client.confirm(token)).status, 200);
  const { token: session, token_data: claims } = (await server.client.signIn(name, password)).body.refresh_token;
  assert.equal(claims.isEmailConfirmed, true);
  const { body } = await server.client.send('GET', '/auth/users/ann', undefined, { authorization: session });
  const entries = Object.fromEntries(body.metadata.map(({ key, value }) => [key, value]));
  assert.deepEqual(entries, { isEmailConfirmed: 'true', ...metadata });
  const [exported] = parse(await installation.users(['export']));
  assert.deepEqual([exported.isEmailConfirmed, exported.metadata], [true, metadata]);
});

/** Runs the script of the guide in the folder of a server whose realm-js is the stand-in, with these rows. */
async function exportFromRos(users, records) {
  const folder = await temporaryDirectory();
  const token = 'eyJhcHBfaWQiOiJpby5yZWFsbS5hdXRoIn0=:c2lnbmVk';
  const rows = { server: 'http://localhost:9080', token, fails: null, realms: { __admin: { User: users, Account: [], UserMetadataRow: [] }, __password: { PasswordSaltHash: records } } };
  await mkdir(join(folder, 'data', 'keys'), { recursive: true });
  await writeFile(join(folder, 'data', 'keys', 'admin.json'), JSON.stringify({ ADMIN_TOKEN: token }));
  await mkdir(join(folder, 'node_modules', 'realm'), { recursive: true });
  await writeFile(join(folder, 'node_modules', 'realm', 'index.js'), `module.exports = require(${JSON.stringify(STAND_IN)});`);
  await writeFile(join(folder, 'rows.json'), JSON.stringify(rows));
  const env = { ...process.env, STAND_IN_FOR_REALM: join(folder, 'rows.json'), STAND_IN_LOG: join(folder, 'log') };
  const child = spawn(process.execPath, [EXPORT_SCRIPT, '--out', 'accounts.jsonl'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (said += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 0, said);
  return { path: join(folder, 'accounts.jsonl'), said };
}

test('what the script exports from ROS is imported as it is, and old passwords sign in', async (t) => {
  const user = (userId, name, more) => ({ userId, isAdmin: false, accounts: [{ provider: 'password', providerId: name }], metadata: [], ...more });
  const record = (userId, password, isEmailConfirmed = null) => ({ userId, ...rosRecord(password), isEmailConfirmed });
  const { path, said } = await exportFromRos(
    [
      user('__admin', '', { isAdmin: true, accounts: [{ provider: 'realm', providerId: '__admin' }] }),
      user('u1', 'ann@example.org', { metadata: [{ key: 'plan', value: 'gold' }, { key: 'isEmailConfirmed', value: 'true' }] }),
      user('u2', 'root', { isAdmin: true }),
      user('u3', 'realm-admin', { isAdmin: true }),
      user('u4', 'gone@example.org', { status: 'suspended' }),
      user('u5', 'backup', { accounts: [{ provider: 'realm', providerId: 'backup' }] }),
      user('u6', 'x'), // Of a time when any password did.
    ],
    [record('u1', 'pässword of ann', true), record('u2', 'password of root'), record('u3', ''), record('u4', 'password of gone'), record('u6', '')],
  );
  assert.match(said, /6 of 7 users exported/);
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  await installation.users(['import', '--dry-run', path]);
  const summary = JSON.parse(await installation.users(['import', path, '--json']));
  assert.equal(summary.added, 6);
  const server = await installation.serve();
  const { client } = server;
  const signIn = async (name, password) => (await client.signIn(name, password)).body.refresh_token?.token_data;
  const ann = await signIn('ann@example.org', 'pässword of ann');
  assert.deepEqual([ann.identity, ann.is_admin, ann.isEmailConfirmed], ['u1', false, true]);
  const root = await client.signIn('root', 'password of root');
  assert.equal(root.body.refresh_token.token_data.is_admin, true);
  assert.equal((await signIn('x', '')).identity, 'u6', 'an old password goes on, however short');
  assert.equal(await signIn('realm-admin', ''), undefined);
  assert.equal(await signIn('gone@example.org', 'password of gone'), undefined);
  const headers = { authorization: root.body.refresh_token.token };
  const shown = await client.send('GET', '/auth/users/password/ann@example.org', undefined, headers);
  assert.deepEqual(shown.body.metadata, [{ key: 'isEmailConfirmed', value: 'true' }, { key: 'plan', value: 'gold' }]);
  assert.equal((await client.send('GET', '/auth/users/realm/backup', undefined, headers)).body.user_id, 'u5');

  await client.askForReset('ann@example.org');
  const token = tokenOf(onlyLink((await parseMail((await relay.mail('ann@example.org')).raw)).text));
  assert.equal((await client.completeReset(token, 'second password')).status, 200);
  assert.equal((await signIn('ann@example.org', 'second password')).identity, 'u1');
});

test('names of ROS that differ by case alone are two accounts with --exact-names, and else are refused', async (t) => {
  const user = (userId, name) => ({ userId, isAdmin: false, accounts: [{ provider: 'password', providerId: name }], metadata: [] });
  const record = (userId, password) => ({ userId, ...rosRecord(password), isEmailConfirmed: null });
  const { path, said } = await exportFromRos([user('u1', 'Ann@example.org'), user('u2', 'ann@example.org')], [record('u1', 'password of Ann'), record('u2', 'password of ann')]);
  assert.match(said, /import with --exact-names/);
  const installation = await Installation.make(t, { mail: null });
  const refused = await installation.run(['users', 'import', path, '--config', installation.file]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /accounts\.jsonl:2: .*--exact-names/);
  await installation.users(['import', path, '--exact-names']);
  const { client } = await installation.serve();
  const identity = async (name, password) => (await client.signIn(name, password)).body.refresh_token?.token_data.identity;
  assert.equal(await identity('Ann@example.org', 'password of Ann'), 'u1');
  assert.equal(await identity('ann@example.org', 'password of ann'), 'u2');
  assert.equal(await identity('ann@example.org', 'password of Ann'), undefined);
});
