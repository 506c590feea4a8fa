// What clients in the field do: the code of realm-js as published, against `regain dev`.

import assert from 'node:assert/strict';
import test, { after } from 'node:test';

import { onlyLink, tokenOf } from './lib/mail.mjs';
import { loadRealm } from './lib/realm.mjs';
import { Recorder } from './lib/recorder.mjs';
import { dev, Installation } from './lib/regain.mjs';
import { adminToken, claimsOf, privateKey, signed } from './lib/tokens.mjs';

const CLIENTS = [
  { version: '2.19', globalFetch: false },
  // 2.19 takes the platform's fetch where there is one, which names no JSON on logging out.
  { version: '2.19', globalFetch: true },
  { version: '2.29', globalFetch: false },
];

const PASSWORD = 'first password';

/** The whole problem of each code, as an AuthError gets it. */
const PROBLEM = {
  601: { slug: 'invalid-parameters', status: 400, title: 'Your request parameters did not validate.' },
  602: { slug: 'missing-parameters', status: 400, title: 'Your request did not validate because of missing parameters.' },
  611: { slug: 'invalid-credentials', status: 401, title: 'The provided credentials are invalid or the user does not exist.' },
  612: { slug: 'unknown-account', status: 404, title: 'The account does not exist.' },
  614: { slug: 'access-denied', status: 403, title: 'The path is invalid or current user has no access.' },
  802: { slug: 'service-unavailable', status: 429, title: 'The requested service is temporarily unavailable.' },
  803: { slug: 'not-enabled', status: 501, title: 'The server was not configured to support the requested operation.' },
};

// One server for the tests of one client, with names of their own, since making its keys takes longest. All are there
// before the first test is declared: a run ends when the tests declared so far have ended.
for (const client of CLIENTS) client.server = await dev({ after });

for (const { version, globalFetch, server } of CLIENTS) {
  const { User, Credentials, AuthError } = loadRealm(version, { globalFetch });
  const client = `realm-js ${version} ${globalFetch ? 'with' : 'without'} fetch`;

  /** That the promise fails with an AuthError of this code with these fields, and with no others. */
  const rejects = (promise, code, more = {}) =>
    assert.rejects(promise, (error) => {
      assert.ok(error instanceof AuthError, error.stack);
      const { name, message, stack, ...fields } = error;
      const { slug, status, title } = PROBLEM[code];
      const type = `https://realm.io/docs/object-server/problems/${slug}`;
      assert.deepEqual(fields, { type, title, status, code, ...more });
      assert.deepEqual([name, message], ['AuthError', title]);
      return true;
    });

  const register = (server, name) => User.login(server.url, Credentials.usernamePassword(name, PASSWORD, true));

  test(`${client} walks through both flows`, async () => {
    const [name, first, second] = ['ann@example.org', 'first password', 'second password'];
    const credentials = (password, register) => Credentials.usernamePassword(name, password, register);

    const registered = await User.login(server.url, credentials(first, true));
    assert.match(registered.identity, /^[0-9a-f]{32}$/);
    assert.equal(registered.isAdmin, false);
    const signedIn = await User.login(server.url, credentials(first, false));
    assert.equal(signedIn.identity, registered.identity);
    const byAutoRegister = await User.login(server.url, Credentials.usernamePassword(name, first));
    assert.equal(byAutoRegister.identity, registered.identity);

    await assert.rejects(User.login(server.url, credentials('a wrong one', false)), (error) => {
      assert.ok(error instanceof AuthError);
      assert.equal(error.code, 611);
      assert.equal(error.status, 401);
      assert.equal(error.message, 'The provided credentials are invalid or the user does not exist.');
      assert.equal(error.type, 'https://realm.io/docs/object-server/problems/invalid-credentials');
      return true;
    });
    await assert.rejects(User.login(server.url, credentials(second, true)), { name: 'AuthError', code: 611 });

    const confirmation = tokenOf(onlyLink((await server.mail(name, { subject: /confirm/i })).text));
    await User.confirmEmail(server.url, confirmation);
    await assert.rejects(User.confirmEmail(server.url, confirmation), { name: 'AuthError', code: 614, status: 403 });
    const confirmed = await User.login(server.url, credentials(first, false));
    const data = JSON.parse(Buffer.from(confirmed.token.split(':')[0], 'base64'));
    assert.equal(data.isEmailConfirmed, true);

    await User.requestPasswordReset(server.url, name);
    await User.requestPasswordReset(server.url, 'nobody@example.org');
    const reset = tokenOf(onlyLink((await server.mail(name, { subject: /password/i })).text));
    await assert.rejects(User.completePasswordReset(server.url, confirmation, second), { name: 'AuthError', code: 614 });
    await User.completePasswordReset(server.url, reset, second);
    await assert.rejects(User.completePasswordReset(server.url, reset, first), { name: 'AuthError', code: 614 });
    await assert.rejects(User.login(server.url, credentials(first, false)), { code: 611 });
    const afterReset = await User.login(server.url, credentials(second, false));
    assert.equal(afterReset.identity, registered.identity);

    const before = await server.client.changePassword(confirmed.token, 'whatever password');
    assert.equal(before.status, 401, 'a session from before the reset has ended');

    const answer = await afterReset.logout();
    assert.equal(answer.status, 200);
    assert.equal(afterReset.isLoggedIn, false);
    const revoked = await server.client.changePassword(afterReset.token, 'whatever password');
    assert.deepEqual([revoked.status, revoked.body.code], [403, 614], 'the session revoked is no good any more');
  });

  test(`${client} asks for a confirmation again`, async (t) => {
    const server = await dev(t, { env: { REGAIN_LIMITS__PER_ADDRESS: 'false' } });
    const user = await User.login(server.url, Credentials.usernamePassword('ben@example.org', 'first password', true));
    await server.mail('ben@example.org');
    await User.requestEmailConfirmation(server.url, 'ben@example.org');
    const again = await server.mail('ben@example.org', { count: 2 });
    await User.confirmEmail(server.url, tokenOf(onlyLink(again.text)));
    await user.logout();
  });

  test(`${client} signs in and registers by every method that it has`, async (t) => {
    t.mock.method(console, 'warn', () => {}); // Most of them say that they are deprecated.
    const ways = {
      ann: (name) => User.login(server.url, Credentials.usernamePassword(name, PASSWORD, true)),
      ben: (name) => User.login(server.url, Credentials.usernamePassword(name, PASSWORD)),
      cid: (name) => User.register(server.url, name, PASSWORD),
      dan: (name) => User.authenticate(server.url, 'Password', { username: name, password: PASSWORD }),
      eva: (name) => User.registerWithProvider(server.url, { provider: 'password', providerToken: name, userInfo: { password: PASSWORD, register: true } }),
      fay: (name) => User.login(server.url, Credentials.custom('password', name, { password: PASSWORD, register: true })),
    };
    for (const [name, way] of Object.entries(ways)) {
      const registered = await way(name);
      assert.equal(registered.server, server.url);
      assert.equal(registered.isAdmin, false);
      assert.equal(registered.isAdminToken, false);
      assert.equal(claimsOf(registered.token).identity, registered.identity);
      assert.equal(claimsOf(registered.token).app_id, 'io.realm.Auth', 'it sends an empty one');
      const signedIn = await User.login(server.url, name, PASSWORD);
      assert.equal(signedIn.identity, registered.identity);
    }
    await rejects(ways.ann('ann'), 611);
    await rejects(ways.cid('ann'), 611);
    await rejects(ways.eva('ann'), 611);
    await rejects(User.login(server.url, 'gil', PASSWORD), 611);
    await rejects(User.login(server.url, Credentials.usernamePassword('gil', PASSWORD, false)), 611);
    await rejects(User.authenticate(server.url, 'password', { username: 'ann', password: 'a wrong one' }), 611);
    assert.equal((await ways.ben('ann')).identity, (await ways.dan('ann')).identity, 'left out, a known name signs in');
  });

  test(`${client} is told that other providers are not there`, async (t) => {
    t.mock.method(console, 'warn', () => {});
    const others = [
      Credentials.facebook('a token'),
      Credentials.google('a token'),
      Credentials.anonymous(),
      Credentials.nickname('ann'),
      Credentials.azureAD('a token'),
      Credentials.jwt('a token'),
      Credentials.jwt('a token', 'ours'),
      Credentials.custom('ours', 'a token', { password: PASSWORD }),
    ].map((credentials) => User.login(server.url, credentials));
    const invalid_params = [{ name: 'provider', reason: "This server has no such provider; it has 'password' and 'realm'." }];
    const attempts = [
      ...others,
      User.authenticate(server.url, 'jwt', { token: 'a token' }),
      User.authenticate(server.url, 'google', { data: 'a token' }),
      User.registerWithProvider(server.url, { provider: 'ours', providerToken: 'a token' }),
    ];
    await Promise.all(attempts.map((attempt) => rejects(attempt, 601, { invalid_params })));
  });

  test(`${client} gets every field of every problem`, async (t) => {
    const login = (...args) => User.login(server.url, Credentials.usernamePassword(...args));
    const reason = 'The password must have at least 8 characters.';
    await rejects(login('hal', 'short', true), 601, { invalid_params: [{ name: 'password', reason }] });
    await rejects(login('', PASSWORD), 602, { invalid_params: [{ name: 'username', reason: "Missing parameter 'username'!" }] });
    await rejects(User.confirmEmail(server.url, ''), 602, { invalid_params: [{ name: 'token', reason: "Missing parameter 'token'!" }] });
    await rejects(User.requestPasswordReset(server.url, ''), 602, { invalid_params: [{ name: 'provider_id', reason: "Missing parameter 'provider_id'!" }] });
    await rejects(login('hal', PASSWORD, false), 611);
    await rejects(User.confirmEmail(server.url, 'f'.repeat(64)), 614, { detail: 'The email confirmation token is invalid or has expired.' });
    await rejects(User.completePasswordReset(server.url, 'f'.repeat(64), PASSWORD), 614, { detail: 'The password reset token is invalid or has expired.' });
    await rejects(User.completePasswordReset(server.url, '', PASSWORD), 602, { invalid_params: [{ name: 'token', reason: "Missing parameter 'token'!" }] });
    const hal = await register(server, 'hal');
    await rejects(hal.retrieveAccount('password', 'nobody'), 612);
    await rejects(hal.retrieveAccount('google', 'hal'), 612);

    const withoutMail = await (await Installation.make(t, { mail: null, settings: { limits: { perClient: { signIn: 1 } } } })).serve();
    const detail = 'Mail is not configured, so passwords cannot be reset and addresses cannot be confirmed.';
    await rejects(User.requestPasswordReset(withoutMail.url, 'hal@example.org'), 803, { detail });
    await rejects(User.requestEmailConfirmation(withoutMail.url, 'hal@example.org'), 803, { detail });
    const wrong = () => User.login(withoutMail.url, Credentials.usernamePassword('hal', PASSWORD, false));
    await rejects(wrong(), 611);
    await rejects(wrong(), 802);
  });

  test(`${client} looks up its own account, and no other`, async () => {
    const ida = await register(server, 'ida@example.org');
    await register(server, 'jon@example.org');
    const account = {
      user_id: ida.identity,
      is_admin: false,
      accounts: [{ provider: 'password', provider_id: 'ida@example.org' }],
      metadata: [],
    };
    assert.deepEqual(await ida.retrieveAccount('password', 'ida@example.org'), account);
    await User.confirmEmail(server.url, tokenOf(onlyLink((await server.mail('ida@example.org')).text)));
    account.metadata.push({ key: 'isEmailConfirmed', value: 'true' });
    assert.deepEqual(await ida.retrieveAccount('password', 'ida@example.org'), account);
    await rejects(ida.retrieveAccount('password', 'jon@example.org'), 612);
    await rejects(ida.retrieveAccount('password', 'nobody@example.org'), 612);
    await ida.logout();
    await rejects(ida.retrieveAccount('password', 'ida@example.org'), 614);
  });

  test(`${client} looks up a name that needs escaping, which it does not do`, async () => {
    const found = ['ann+one@example.org', 'ann one', "o'ann|[one]", 'a=b&c;d,e', '%2B%20', ...(globalFetch ? ['zoë', '日本'] : [])];
    for (const sent of found) {
      // An app that knows this escapes by itself.
      const name = sent.startsWith('%') ? decodeURIComponent(sent) : sent;
      const user = await register(server, name);
      assert.equal((await user.retrieveAccount('password', sent)).accounts[0].provider_id, name);
    }
    // In these the address means something else; the error must be one that the SDK can read.
    const [percent, slash] = [await register(server, '100%'), await register(server, 'one/two')];
    await assert.rejects(percent.retrieveAccount('password', '100%'), { name: 'AuthError', status: 400 });
    await assert.rejects(slash.retrieveAccount('password', 'one/two'), { name: 'AuthError', status: 404 });
  });

  test(`${client} is an administrator with the token of keys/admin.json, until it signs out`, async (t) => {
    t.mock.method(console, 'warn', () => {});
    const server = await dev(t);
    const token = adminToken(server.data);
    const ann = await register(server, 'ann@example.org');
    for (const admin of [await User.login(server.url, Credentials.adminToken(token)), User.adminUser(token, server.url)]) {
      assert.equal(admin.isAdmin, true);
      assert.equal((await admin.retrieveAccount('password', 'ann@example.org')).user_id, ann.identity);
      assert.equal((await admin.retrieveAccount('realm', '__admin')).is_admin, true);
      await rejects(admin.retrieveAccount('password', 'nobody@example.org'), 612);
    }
    const admin = await User.login(server.url, Credentials.adminToken(token));
    if (version === '2.29') {
      const kept = User.deserialize(JSON.parse(JSON.stringify(admin.serialize())));
      assert.equal((await kept.retrieveAccount('password', 'ann@example.org')).user_id, ann.identity);
    }
    assert.equal((await admin.logout()).status, 200);
    await rejects(admin.retrieveAccount('password', 'ann@example.org'), 614);
  });

  test(`${client} goes on as a user that it had put away`, async () => {
    const kay = await register(server, 'kay@example.org');
    const kept = User.deserialize(JSON.parse(JSON.stringify(kay.serialize())));
    assert.deepEqual([kept.identity, kept.isAdmin, kept.isAdminToken], [kay.identity, false, false]);
    assert.equal((await kept.retrieveAccount('password', 'kay@example.org')).user_id, kay.identity);
    assert.equal((await kept.logout()).status, 200);
    await rejects(kay.retrieveAccount('password', 'kay@example.org'), 614);
  });

  test(`${client} signs out of a session that is over without harm`, async (t) => {
    t.mock.method(console, 'warn', () => {});
    const leo = await register(server, 'leo');
    const other = await User.login(server.url, 'leo', PASSWORD);
    const answers = [await leo.logout(), await leo.logout()];
    assert.deepEqual(answers.map((answer) => answer.status), [200, 403]);
    assert.equal((await answers[1].json()).code, 614);
    assert.equal((await other.retrieveAccount('password', 'leo')).user_id, leo.identity, 'the other session goes on');

    const expired = signed({ ...claimsOf(other.token), expires: 1_500_000_000 }, privateKey(server.data));
    const late = User.createUser(server.url, leo.identity, expired, false, false);
    await rejects(late.retrieveAccount('password', 'leo'), 611, { detail: 'The session token is invalid or has expired.' });
    const answer = await late.logout();
    assert.deepEqual([answer.status, (await answer.json()).code], [401, 611]);
    assert.equal(late.isLoggedIn, false);
  });

  test(`${client} is told in the session's error handler that nothing is synchronised`, async (t) => {
    const recorder = await Recorder.start(t, server);
    const max = await register({ url: recorder.url }, 'max');
    const error = await new Promise((resolve) => {
      max.sessions.set('/max.realm', { config: { error: (session, told) => resolve(told) }, state: 'active' });
      User._refreshAccessToken(max, '/max.realm', `${recorder.url.replace('http', 'realm')}/~/mine`);
    });
    await rejects(Promise.reject(error), 614, { detail: 'Nothing is synchronised here, so there is no path that could be opened.' });
    const { method, path, headers, body, status } = recorder.exchanges.at(-1);
    assert.deepEqual([method, path, status], ['POST', '/auth', 403]);
    assert.equal(headers.authorization, undefined, 'the session in the body is the proof');
    assert.deepEqual(JSON.parse(body), { data: max.token, path: '/~/mine', provider: 'realm', app_id: '' });
  });

  test(`${client} as an administrator asks for a realm's file and takes its absence as it is`, async (t) => {
    const recorder = await Recorder.start(t, server);
    const token = adminToken(server.data);
    const admin = await User.login(recorder.url, Credentials.adminToken(token));
    const refreshed = await new Promise((resolve) => {
      const session = { config: { error: resolve }, state: 'active', _refreshAccessToken: (...args) => resolve(args) };
      admin.sessions.set('/mine.realm', session);
      // It makes the user anew, as the addon would find the one that is there.
      t.mock.method(User, '_adminUser', () => admin);
      User._refreshAccessToken(admin, '/mine.realm', 'realm://example.org/mine');
    });
    assert.deepEqual(refreshed, [token, 'realm://example.org/mine', '_direct']);
    assert.deepEqual(recorder.exchanges.map(({ path, status }) => [path, status]), [['/realms/files/%2Fmine', 404]]);
  });
}
