// The tokens as others meet them: services that check them with the public key alone, apps that present them, and
// administrators' tools. Nothing here trusts what the server says about a token that Node's crypto can check.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { after } from 'node:test';

import { rawExchange, rawRequest } from './lib/client.mjs';
import { onlyLink, tokenOf } from './lib/mail.mjs';
import { dev, Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { adminToken, check, claimsOf, privateKey, publicKey, signed } from './lib/tokens.mjs';
import { until } from './lib/wait.mjs';

const PASSWORD = 'first password';

// One server for the tests that need no other, with names of their own, since making its keys takes longest.
const server = await dev({ after });
const { client } = server;

const pair = ({ status, body }) => [status, body?.code];
const send = (method, path, session, json) => client.send(method, path, json, session === undefined ? {} : { authorization: session });
const trade = (session, more) => send('POST', '/auth', undefined, { provider: 'realm', data: session, ...more });
const session = async (name, password = PASSWORD) => (await client.signIn(name, password)).body.refresh_token.token;
const admin = () => adminToken(server.data);

/** Registers, and answers `{id, session}`. */
async function account(name, on = client) {
  const { status, body, text } = await on.register(name, PASSWORD);
  assert.equal(status, 200, text);
  return { id: body.refresh_token.token_data.identity, session: body.refresh_token.token };
}

/** What a session gets for looking up its own account, and in a trade. */
const standing = async ({ id, session }) => [pair(await send('GET', `/auth/users/${id}`, session)), pair(await trade(session))];
const GOOD = [[200, undefined], [200, undefined]];
const ENDED = [[401, 611], [403, 614]];
const REVOKED = [[403, 614], [403, 614]];

test('a service with keys/auth.pub alone takes good tokens and no others', async () => {
  const key = publicKey(server.data);
  const now = Math.floor(Date.now() / 1000);
  const { refresh_token: refresh } = (await client.register('pub@example.org', PASSWORD)).body;
  const { user_token: user } = (await trade(refresh.token)).body;
  assert.deepEqual(check(refresh.token, key), refresh.token_data);
  assert.deepEqual(check(user.token, key), user.token_data);

  const keys = ['app_id', 'identity', 'access', 'salt', 'expires', 'is_admin', 'isEmailConfirmed'];
  assert.deepEqual(Object.keys(refresh.token_data), keys, 'in the order of ROS; `gen` comes last, once there is one');
  assert.deepEqual(refresh.token_data.access, ['refresh']);
  assert.match(refresh.token_data.salt, /^[0-9a-f]{8}$/);
  assert.deepEqual(Object.keys(user.token_data), ['app_id', 'identity', 'salt', 'expires', 'is_admin']);
  assert.equal(user.token_data.identity, refresh.token_data.identity);
  for (const [claims, seconds] of [[refresh.token_data, 90 * 24 * 3600], [user.token_data, 3600]]) {
    assert.ok(Math.abs(claims.expires - now - seconds) < 30, `${claims.expires} is in ${seconds} s`);
  }

  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  for (const { token, token_data: claims } of [refresh, user]) {
    const [data, signature] = token.split(':');
    const altered = Buffer.from(JSON.stringify({ ...claims, is_admin: true })).toString('base64');
    const bad = {
      'altered': `${altered}:${signature}`,
      'with the signature of another': `${data}:${admin().split(':')[1]}`,
      'without a signature': `${data}:`,
      'signed by another key': signed(claims, foreign),
    };
    for (const [how, token] of Object.entries(bad)) {
      assert.throws(() => check(token, key), /not signed/, how);
      assert.deepEqual(pair(await send('GET', `/auth/users/${claims.identity}`, token)), [401, 611], how);
      assert.deepEqual(pair(await trade(token)), [403, 614], how);
    }
    assert.throws(() => check(token, key, (claims.expires + 1) * 1000), /expired/);
  }
});

test('only sessions act: a user token and what ROS signed for a realm do not', async () => {
  const { id, session } = await account('kinds@example.org');
  const claims = claimsOf(session);
  const key = privateKey(server.data);
  const { token: user } = (await trade(session)).body.user_token;
  const access = signed({ ...claims, access: ['download', 'upload', 'manage'], path: '/x', sync_label: 'default' }, key);
  const expired = signed({ ...claims, expires: Math.floor(Date.now() / 1000) - 1 }, key);
  for (const token of [user, access, expired]) {
    assert.deepEqual(await standing({ id, session: token }), ENDED);
  }
  assert.deepEqual(pair(await trade(admin())), [403, 614], 'the administrator has no account to get a token for');
});

test('sessions that ROS signed with this key go on, also those that never end', async (t) => {
  // As in the guide: the key is put in place before the first start.
  const installation = await Installation.make(t, { mail: null });
  const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await mkdir(join(installation.data, 'keys'), { recursive: true, mode: 0o700 });
  await writeFile(join(installation.data, 'keys', 'auth.key'), key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const { client } = await installation.serve();
  assert.ok(publicKey(installation.data).equals(createPublicKey(key)));

  const id = 'a-user.of_ROS';
  const old = { app_id: 'io.realm.Auth', identity: id, access: ['refresh'], salt: '0badcafe', expires: 4_700_000_000, is_admin: true, isEmailConfirmed: false };
  const { expires, ...never } = old;
  const headers = (claims) => ({ authorization: signed(claims, key) });
  const own = async (claims) => pair(await client.send('GET', `/auth/users/${id}`, undefined, headers(claims)));
  for (const claims of [old, never]) assert.deepEqual(await own(claims), [401, 611], 'nobody has this id yet');

  const builtin = { authorization: adminToken(installation.data) };
  const put = { provider: 'password', provider_id: 'ann@example.org', user_id: id };
  assert.equal((await client.send('PUT', '/auth/users', put, builtin)).status, 200);
  for (const claims of [old, never]) assert.deepEqual(await own(claims), [200, undefined]);
  const others = await client.send('PUT', '/auth/users', put, headers(old));
  assert.deepEqual(pair(others), [403, 614], 'what it says of being an administrator is looked up');
  const change = { data: { new_password: PASSWORD } };
  assert.equal((await client.send('PUT', '/auth/password', change, headers(old))).status, 200);
  assert.deepEqual(await own(old), [200, undefined], 'the session that changed the password goes on');
  assert.deepEqual(await own(never), [401, 611], 'the other does not');
});

test('the key files are those of ROS, but for their owner alone', async () => {
  const keys = join(server.data, 'keys');
  const mode = async (...path) => ((await stat(join(...path))).mode & 0o777).toString(8);
  assert.equal(await mode(keys), '700');
  const files = await readdir(keys);
  for (const name of ['auth.key', 'auth.pub', 'admin.json']) assert.ok(files.includes(name), `${name} in ${files}`);
  for (const name of files) assert.equal(await mode(keys, name), '600', name);
  assert.match(await readFile(join(keys, 'auth.key'), 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
  assert.match(await readFile(join(keys, 'auth.pub'), 'utf8'), /^-----BEGIN PUBLIC KEY-----\n/);
  assert.equal(privateKey(server.data).asymmetricKeyDetails.modulusLength, 2048);
  assert.ok(createPublicKey(privateKey(server.data)).equals(publicKey(server.data)));

  const { salt, ...claims } = check(admin(), publicKey(server.data));
  assert.deepEqual(claims, { app_id: 'io.realm.auth', identity: '__admin', access: ['download', 'upload', 'manage'] });
  assert.match(salt, /^[0-9a-f]+$/);
  assert.deepEqual(Object.keys(JSON.parse(await readFile(join(keys, 'admin.json'), 'utf8'))), ['ADMIN_TOKEN']);
});

test("of all administrator's tokens the one in keys/admin.json is good, and none where none is wanted", async (t) => {
  const { id } = await account('watched@example.org');
  assert.equal((await send('GET', `/auth/users/${id}`, admin())).status, 200);
  const another = signed({ ...claimsOf(admin()), salt: '01234567' }, privateKey(server.data));
  assert.deepEqual(pair(await send('GET', `/auth/users/${id}`, another)), [401, 611]);

  const installation = await Installation.make(t, { mail: null, settings: { writeAdminTokenToJson: false } });
  const without = await installation.serve();
  assert.ok(!(await readdir(join(installation.data, 'keys'))).includes('admin.json'));
  const forged = signed(claimsOf(admin()), privateKey(installation.data));
  assert.deepEqual(pair(await without.client.send('GET', '/auth/providers', undefined, { authorization: forged })), [401, 611]);
});

test('a session ends with its account, its password, itself, or its time, at the very next request', async (t) => {
  const deleted = await account('deleted@example.org');
  assert.deepEqual(await standing(deleted), GOOD);
  assert.equal((await send('DELETE', `/auth/users/${deleted.id}`, deleted.session)).text, '{}');
  assert.deepEqual(await standing(deleted), ENDED);
  const again = await account('deleted@example.org');
  assert.notEqual(again.id, deleted.id);
  assert.deepEqual(await standing({ ...again, session: deleted.session }), ENDED, 'whoever gets the name next gets no session of before');

  const revoked = await account('revoked@example.org');
  const other = { ...revoked, session: await session('revoked@example.org') };
  assert.equal((await client.revoke(revoked.session)).text, '{}');
  assert.deepEqual(await standing(revoked), REVOKED);
  assert.deepEqual(await standing(other), GOOD);
  assert.equal((await client.revoke(admin(), other.session)).text, '{}', 'an administrator ends the sessions of others');
  assert.deepEqual(await standing(other), REVOKED);

  const changed = await account('changed@example.org');
  const changing = { ...changed, session: await session('changed@example.org') };
  assert.equal((await client.changePassword(changing.session, 'second password')).status, 200);
  assert.deepEqual(await standing(changed), ENDED);
  assert.deepEqual(await standing(changing), GOOD, 'the one that changed it goes on');
  await client.askForReset('changed@example.org');
  const link = onlyLink((await server.mail('changed@example.org', { subject: /reset/i })).text);
  assert.equal((await client.completeReset(tokenOf(link), 'third password')).status, 200);
  assert.deepEqual(await standing(changing), ENDED, 'a reset ends that one too');
  assert.deepEqual(await standing({ ...changed, session: await session('changed@example.org', 'third password') }), GOOD);

  const brief = await dev(t, { env: { REGAIN_REFRESH_TOKEN_TTL: '1s' } });
  const late = await account('late@example.org', brief.client);
  const first = claimsOf(late.session).expires;
  assert.ok(Math.abs(first - Date.now() / 1000) < 30);
  await until('the session to be over', async () => {
    const answer = await brief.client.send('GET', `/auth/users/${late.id}`, undefined, { authorization: late.session });
    return answer.status === 401 && answer.body.code === 611;
  });
  assert.throws(() => check(late.session, publicKey(brief.data), Date.now() + 1000), /expired/);
});

test('an administrator is whoever is one now, whatever the token says', async () => {
  const ann = await account('promoted@example.org');
  const { id } = await account('plain@example.org');
  const make = async (is_admin) => {
    const body = { provider: 'password', provider_id: 'promoted@example.org', is_admin, metadata: {} };
    assert.equal((await send('PUT', '/auth/users', admin(), body)).status, 200);
  };
  const others = async (session) => pair(await send('GET', `/auth/users/${id}`, session));
  assert.deepEqual(await others(ann.session), [403, 614]);
  await make(true);
  assert.equal(claimsOf(ann.session).is_admin, false);
  assert.deepEqual(await others(ann.session), [200, undefined]);
  const promoted = await session('promoted@example.org');
  assert.equal(claimsOf(promoted).is_admin, true);
  assert.equal((await trade(ann.session)).body.user_token.token_data.is_admin, true, 'a user token says what is so now');
  await make(false);
  for (const session of [ann.session, promoted]) {
    assert.deepEqual(await others(session), [403, 614]);
    assert.deepEqual(await standing({ ...ann, session }), GOOD, 'it goes on as the session of an owner');
  }
});

test('an account is made and changed by administrators alone, and its providers are shown without secrets', async (t) => {
  const relay = await ScriptedRelay.start(t, { auth: true });
  const installation = await Installation.make(t, { relay: `smtp://mailer:a-relay-password@localhost:${relay.port}` });
  const { client } = await installation.serve();
  const builtin = { authorization: adminToken(installation.data) };
  const user = { authorization: (await account('ann@example.org', client)).session };
  const put = { provider: 'password', provider_id: 'made@example.org', user_id: 'made-1', metadata: { team: 'core' } };

  assert.deepEqual(pair(await client.send('PUT', '/auth/users', put)), [401, 611]);
  assert.deepEqual(pair(await client.send('PUT', '/auth/users', put, user)), [403, 614]);
  const made = await client.send('PUT', '/auth/users', put, builtin);
  assert.deepEqual(made.body, {
    user_id: 'made-1', is_admin: false, accounts: [{ provider: 'password', provider_id: 'made@example.org' }], metadata: [{ key: 'team', value: 'core' }],
  });
  assert.equal((await client.signIn('made@example.org', '')).status, 401, 'it has no password');
  const missing = await client.send('PUT', '/auth/users', {}, builtin);
  assert.deepEqual(missing.body.invalid_params.map(({ name }) => name), ['provider', 'providerId']);
  const moved = await client.send('PUT', '/auth/users', { ...put, user_id: 'made-2' }, builtin);
  assert.deepEqual([...pair(moved), moved.body.invalid_params[0].name], [400, 601, 'userId']);

  const shown = await client.send('GET', '/auth/providers', undefined, builtin);
  assert.deepEqual(shown.body.map(({ name, type }) => [name, type]), [['password', 'password']]);
  assert.doesNotMatch(shown.text, /a-relay-password/);
  for (const [method, path] of [['POST', '/auth/providers'], ['DELETE', '/auth/providers/password']]) {
    assert.equal((await client.send(method, path, undefined, builtin)).body.title, 'Runtime configuration disabled');
    assert.deepEqual(pair(await client.send(method, path, undefined, user)), [403, 614]);
  }
  assert.deepEqual(pair(await client.send('GET', '/auth/providers', undefined, user)), [403, 614]);

  for (const path of ['/auth/users/made-1', '/auth/user/made-1']) {
    assert.deepEqual(pair(await client.send('DELETE', path, undefined, user)), [403, 614]);
  }
  assert.equal((await client.send('DELETE', '/auth/user/made-1', undefined, builtin)).text, '{}', 'the older spelling');
  assert.deepEqual(pair(await client.send('DELETE', '/auth/users/made-1', undefined, builtin)), [404, 618]);
  assert.deepEqual(pair(await client.send('GET', '/auth/users/made-1', undefined, builtin)), [404, 612]);
});

test('paths match whatever their case, and with a slash at the end', async () => {
  const { id, session } = await account('Case@example.org');
  const found = [`/Auth/Users/${id}/`, `/AUTH/USERS/${id}`, '/auth/users/Password/Case@example.org', '/AUTH/users/PASSWORD/case%40example.org/'];
  for (const path of found) assert.equal((await send('GET', path, session)).body.user_id, id, path);
  assert.deepEqual(pair(await send('GET', `/auth/users/${id.toUpperCase()}x`, session)), [403, 614], 'an id is what it is');
  assert.equal((await send('GET', '/Auth/Providers/', admin())).status, 200);
  assert.equal((await send('PUT', '/AUTH/Password/', session, { data: { new_password: 'second password' } })).status, 200);
  assert.equal((await send('POST', '/AUTH/', undefined, { provider: 'realm', data: session })).status, 200);
  assert.equal((await send('POST', '/Auth/PASSWORD/UpdateAccount/', undefined, { data: { action: 'reset_password' }, provider_id: 'x' })).status, 200);
  assert.equal((await send('POST', '/auth/REVOKE/', session, { token: session })).status, 200);
  assert.deepEqual(pair(await send('GET', `/auth/users/${id}`, session)), [403, 614]);
});

test('a token is found in each of the headers that ROS looks at, in its order', async () => {
  const { id, session } = await account('headers@example.org');
  const asked = async (headers, on = client) => (await on.send('GET', `/auth/users/${id}`, undefined, headers)).status;
  for (const headers of [
    { Authorization: session },
    { Authorization: `Bearer ${session}` },
    { authorization: `bearer  ${session}` },
    { 'x-realm-access-token': session },
    { Authorization: '', 'X-Realm-Access-Token': session },
    { Authorization: session, 'X-Realm-Access-Token': 'nonsense' },
  ]) {
    assert.equal(await asked(headers), 200, Object.keys(headers).join());
  }
  for (const headers of [{}, { Authorization: '' }, { Authorization: `Basic ${session}` }, { Authorization: 'nonsense', 'X-Realm-Access-Token': session }]) {
    assert.equal(await asked(headers), 401, JSON.stringify(headers).slice(0, 40));
  }
});

test('a header of another name comes first where authorizationHeaderName says so', async (t) => {
  const installation = await Installation.make(t, { mail: null, settings: { authorizationHeaderName: 'X-Session' } });
  const named = (await installation.serve()).client;
  const ann = await account('ann@example.org', named);
  const own = async (headers) => (await named.send('GET', `/auth/users/${ann.id}`, undefined, headers)).status;
  for (const headers of [{ 'x-session': ann.session }, { Authorization: ann.session }, { 'x-session': ann.session, Authorization: 'nonsense' }, { 'X-Session': '', 'X-Realm-Access-Token': ann.session }]) {
    assert.equal(await own(headers), 200, Object.keys(headers).join());
  }
  assert.equal(await own({ 'X-Session': 'nonsense', Authorization: ann.session }), 401);
});

test('a bad token fails every route under /auth, and no page', async () => {
  const bad = { authorization: 'nonsense' };
  for (const [method, path, json] of [
    ['POST', '/auth', { provider: 'password', data: 'x', user_info: { password: PASSWORD } }],
    ['POST', '/auth/password/updateAccount', { data: { action: 'reset_password' }, provider_id: 'x' }],
    ['GET', '/auth/nothing/of/ours'],
    ['GET', '/auth/users/x'],
  ]) {
    assert.deepEqual(pair(await client.send(method, path, json, bad)), [401, 611], path);
  }
  for (const path of ['/health', '/reset-password', '/confirm-email?token=x']) {
    assert.equal((await client.send('GET', path, undefined, bad)).status, 200, path);
  }
});

test('any site may call what is under /auth, and is told so before and after', async () => {
  const { id, session } = await account('cors@example.org');
  const origin = { origin: 'https://app.example' };
  for (const [method, path, headers] of [
    ['GET', `/auth/users/${id}`, { authorization: session }],
    ['GET', `/auth/users/${id}`, {}],
    ['GET', '/auth/users/password/cors@example.org', { authorization: session }],
    ['PUT', '/auth/users', { authorization: session }],
    ['DELETE', `/auth/users/${id}`, {}],
    ['GET', '/auth/providers', { authorization: session }],
    ['PUT', '/auth/password', { authorization: session }],
    ['POST', '/auth/revoke', { authorization: 'nonsense' }],
    ['PATCH', '/auth/nothing', {}],
    ['POST', '/auth', {}],
  ]) {
    const answer = await client.send(method, path, undefined, { ...origin, ...headers });
    assert.equal(answer.headers.get('access-control-allow-origin'), '*', `${method} ${path}`);
    assert.equal(answer.headers.get('access-control-allow-credentials'), null);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  }
  for (const path of ['/auth', '/auth/', `/auth/users/${id}`, '/auth/users', '/auth/users/password/ann', '/auth/user/x', '/auth/providers', '/auth/revoke', '/auth/100%', '/auth/nothing/at/all']) {
    const asked = { ...origin, 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization,content-type' };
    const { status, headers, text } = await client.send('OPTIONS', path, undefined, asked);
    assert.deepEqual([status, text], [204, ''], path);
    assert.equal(headers.get('access-control-allow-origin'), '*');
    assert.equal(headers.get('access-control-allow-methods'), 'GET,HEAD,PUT,PATCH,POST,DELETE');
    assert.equal(headers.get('access-control-allow-headers'), 'authorization,content-type');
    assert.equal(headers.get('vary'), 'Access-Control-Request-Headers');
    assert.equal(headers.get('access-control-max-age'), null);
  }
});

test('what is not there is a 404 in JSON, whatever the method', async () => {
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const path of ['/auth/', '/auth/users/', '/auth/users/a/b/c', '/auth/nothing/at/all', '/realms/files/x', '/%61uth', '/favicon.ico']) {
      if (/^(POST \/auth\/|PUT \/auth\/users\/)$/.test(`${method} ${path}`)) continue;
      const { status, headers, body } = await client.send(method, path);
      assert.equal(status, 404, `${method} ${path}`);
      assert.equal(headers.get('content-type'), 'application/json; charset=utf-8');
      assert.deepEqual(body, { title: 'Not Found', status: 404 });
    }
  }
});

test('HEAD is answered as GET is, without the body, and changes nothing', async () => {
  const { id, session } = await account('head@example.org');
  const confirmation = onlyLink((await server.mail('head@example.org')).text).replace(server.url, '');
  for (const [path, headers] of [
    [`/auth/users/${id}`, { Authorization: session }],
    ['/auth/users/password/head@example.org', { Authorization: session }],
    ['/auth/providers', { Authorization: admin() }],
    [`/auth/users/${id}`, {}],
    ['/auth/nothing', {}],
    ['/health', {}],
    [confirmation, {}],
  ]) {
    const ask = async (method) => (await rawExchange(server.port, rawRequest(method, path, '', headers))).toString('latin1').split('\r\n\r\n');
    const [[getHead, getBody], [head, body]] = [await ask('GET'), await ask('HEAD')];
    const same = (text) => text.split('\r\n').filter((line) => !/^date:/i.test(line)).sort();
    assert.deepEqual(same(head), same(getHead), path);
    assert.equal(body, '');
    assert.ok(getBody.length > 0);
  }
  assert.equal((await client.confirm(tokenOf(`${server.url}${confirmation}`))).status, 200, 'nothing has used the link');
  const bytes = await rawExchange(server.port, rawRequest('HEAD', '/auth', '{}', { 'Content-Type': 'application/json' }));
  assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 404 /, 'HEAD is for what GET is for');
});
