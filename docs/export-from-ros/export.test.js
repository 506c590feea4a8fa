// The whole script as an operator runs it, on a stand-in for realm-js (testing/realm.js).

'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const SCRIPT = path.join(__dirname, 'export.js');
const TOKEN = 'eyJhcHBfaWQiOiJpby5yZWFsbS5hdXRoIn0=:c2lnbmVk';
const HASH = Buffer.alloc(64, 7).toString('base64');

function user(userId, name, more) {
  return { userId, isAdmin: false, accounts: name === null ? [] : [{ provider: 'password', providerId: name }], metadata: [], ...more };
}

function record(userId, more) {
  return { userId, salt: 'c2FsdA==', iterations: 10, keyLength: 64, digest: 'sha512', hash: HASH, isEmailConfirmed: null, ...more };
}

const USERS = [
  user('__admin', null, { isAdmin: true, accounts: [{ provider: 'realm', providerId: '__admin' }] }),
  user('u1', 'Ann@example.org', { metadata: [{ key: 'plan', value: 'gold' }] }),
  user('u2', 'ann@example.org'),
  user('u3', 'bob@example.org', { isAdmin: true }),
];
const RECORDS = [record('u1', { isEmailConfirmed: true }), record('u2'), record('gone')];

/** A server's folder: its keys, and its realm-js. */
function place(t, { users = USERS, records = RECORDS, fails = null, server = 'http://localhost:9080' } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'export-from-ros-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const write = (name, text) => {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  };
  write('data/keys/admin.json', JSON.stringify({ ADMIN_TOKEN: TOKEN }));
  write('node_modules/realm/index.js', `module.exports = require(${JSON.stringify(path.join(__dirname, 'testing', 'realm.js'))});`);
  const password = records === null ? {} : { PasswordSaltHash: records };
  const admin = { User: users, Account: [], UserMetadataRow: [] };
  write('rows.json', JSON.stringify({ server, token: TOKEN, fails, realms: { __admin: admin, __password: password } }));
  write('log', '');
  const read = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
  return { folder, read, write, has: (name) => fs.existsSync(path.join(folder, name)), log: () => read('log').trim().split('\n') };
}

/** Runs the script there, with the Node of `EXPORT_NODE` where it is set, so that an old one can be tried. */
function start(at, ...args) {
  const env = { ...process.env, STAND_IN_FOR_REALM: path.join(at.folder, 'rows.json'), STAND_IN_LOG: path.join(at.folder, 'log') };
  const child = spawn(process.env.EXPORT_NODE || process.execPath, [SCRIPT, ...args], { cwd: at.folder, env });
  let said = '';
  child.stdout.on('data', (text) => { said += text; });
  child.stderr.on('data', (text) => { said += text; });
  const ended = new Promise((resolve) => {
    child.on('close', (status) => resolve({ status, said }));
  });
  return { child, ended };
}

const run = (at, ...args) => start(at, ...args).ended;

function leavesNothing(at) {
  assert.deepEqual(fs.readdirSync(at.folder).filter((name) => name.startsWith('accounts')), []);
}

test('an export writes one line an account, for its owner alone, and takes away what it fetched', async (t) => {
  const at = place(t);
  const { status, said } = await run(at, '--out', 'accounts.jsonl');
  assert.equal(status, 0, said);
  const lines = at.read('accounts.jsonl').trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => [line.user_id, line.provider_id, line.isEmailConfirmed, line.metadata, line.password?.hash]), [
    ['u1', 'Ann@example.org', true, { plan: 'gold' }, HASH],
    ['u2', 'ann@example.org', false, {}, HASH],
    ['u3', 'bob@example.org', false, {}, undefined],
  ]);
  assert.equal(fs.statSync(path.join(at.folder, 'accounts.jsonl')).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(at.folder).filter((name) => name.includes('fetched')), []);
  assert.match(said, /3 of 4 users exported: 1 of them without a password, 1 administrators/);
  assert.match(said, /1 password records belong to no user/);
  assert.match(said, /2 names differ from another only by case: import with --exact-names/);
  assert.match(said, /note: u3 has no password/);
});

test('the realms are opened whole, without a schema, inside the folder that goes away, and closed', async (t) => {
  const at = place(t);
  assert.equal((await run(at, '--out', 'accounts.jsonl')).status, 0);
  const opened = at.log().filter((line) => line.startsWith('opened ')).map((line) => JSON.parse(line.slice(7)));
  assert.deepEqual(opened.map(({ url, fullSynchronization, schema }) => [url, fullSynchronization, schema]), [
    ['realm://localhost:9080/__admin', true, undefined],
    ['realm://localhost:9080/__password', true, undefined],
  ]);
  for (const { cwd } of opened) assert.match(cwd, /accounts\.jsonl\.fetched-\w+$/);
  assert.deepEqual(at.log().slice(-2), ['closed __admin', 'closed __password']);
});

test('nothing that is said holds a name, a hash or the token', async (t) => {
  const at = place(t, { users: [...USERS, user('u4', 'a\nb@example.org')] });
  const { said } = await run(at, '--out', 'accounts.jsonl');
  for (const secret of [HASH, TOKEN, 'example.org', 'c2FsdA==']) assert.ok(!said.includes(secret), said);
});

test('accounts that cannot be converted are named by id, and the others are there', async (t) => {
  const twins = [user('u5', 'twin@example.org'), user('u6', 'twin@example.org'), user('u7', null)];
  const at = place(t, { users: [...USERS, ...twins] });
  const { status, said } = await run(at, '--out', 'accounts.jsonl');
  assert.equal(status, 2, said);
  for (const id of ['u5', 'u6', 'u7']) assert.match(said, new RegExp(`LEFT OUT: ${id} `));
  assert.equal(at.read('accounts.jsonl').trimEnd().split('\n').length, 3);
});

test('a server on which nobody has a password yet is exported too', async (t) => {
  const at = place(t, { records: null });
  const { status, said } = await run(at, '--out', 'accounts.jsonl');
  assert.equal(status, 0, said);
  assert.match(said, /3 of 4 users exported: 3 of them without a password/);
});

test('a file that is there is not overwritten', async (t) => {
  const at = place(t);
  at.write('accounts.jsonl', 'mine');
  const { status, said } = await run(at, '--out', 'accounts.jsonl');
  assert.equal(status, 1);
  assert.match(said, /exists; nothing is overwritten/);
  assert.equal(at.read('accounts.jsonl'), 'mine');
});

test('a server that refuses or does not answer leaves no file, and the token is not said', async (t) => {
  for (const [fails, reason] of [['fatal', /bad token \[admin token\]/], ['never', /within 0\.5 s/]]) {
    const at = place(t, { fails });
    const { status, said } = await run(at, '--out', 'accounts.jsonl', '--timeout', '0.5');
    assert.equal(status, 1);
    assert.match(said, reason);
    assert.ok(!said.includes(TOKEN));
    leavesNothing(at);
  }
});

test('stopped half way, it leaves nothing', async (t) => {
  const at = place(t, { fails: 'never' });
  const { child, ended } = start(at, '--out', 'accounts.jsonl');
  await new Promise((resolve) => {
    const watch = fs.watch(at.folder, () => {
      if (!at.read('log').includes('opened')) return;
      watch.close();
      resolve();
    });
  });
  child.kill('SIGINT');
  assert.equal((await ended).status, 1);
  leavesNothing(at);
});

test('what is wrong with the call is said, and nothing is made', async (t) => {
  const at = place(t);
  for (const [args, reason] of [
    [[], /--out FILE is missing/],
    [['--out'], /--out needs a value/],
    [['--output', 'accounts.jsonl'], /no option --output/],
    [['--out', 'accounts.jsonl', '--server', 'localhost:9080'], /--server takes/],
    [['--out', 'accounts.jsonl', '--server', 'http://localhost:9080/path'], /--server takes/],
    [['--out', 'accounts.jsonl', '--timeout', 'soon'], /--timeout takes/],
    [['--out', 'accounts.jsonl', '--admin-json', 'nowhere'], /nowhere cannot be read: ENOENT/],
    [['--out', 'accounts.jsonl', '--admin-json', 'rows.json'], /no ADMIN_TOKEN/],
  ]) {
    const { status, said } = await run(at, ...args);
    assert.equal(status, 1);
    assert.match(said, reason);
    leavesNothing(at);
  }
  fs.rmSync(path.join(at.folder, 'node_modules'), { recursive: true });
  const { status, said } = await run(at, '--out', 'accounts.jsonl');
  assert.equal(status, 1);
  assert.match(said, /no realm package/);
  leavesNothing(at);
});

test('a server elsewhere is warned of where nothing is encrypted', async (t) => {
  for (const [server, url, warns] of [
    ['http://ros.example.org:9080', 'realm://ros.example.org:9080/__admin', true],
    ['https://ros.example.org', 'realms://ros.example.org/__admin', false],
    ['http://127.0.0.1:9080', 'realm://127.0.0.1:9080/__admin', false],
  ]) {
    const at = place(t, { server });
    const { status, said } = await run(at, '--out', 'accounts.jsonl', '--server', server);
    assert.equal(status, 0, said);
    assert.equal(said.includes('unencrypted'), warns);
    assert.ok(at.log()[0].includes(url));
  }
});
