// What the SDKs for Java, .NET and Cocoa send, byte for byte, and whether they can read the answers. Their code does not
// run here, so the requests and the rules of reading are written down in lib/sdks.mjs.

import assert from 'node:assert/strict';
import test, { after } from 'node:test';

import { parseAnswer, rawExchange } from './lib/client.mjs';
import { onlyLink, tokenOf } from './lib/mail.mjs';
import { dev } from './lib/regain.mjs';
import { cocoa, dotnet, java } from './lib/sdks.mjs';
import { adminToken } from './lib/tokens.mjs';

const [FIRST, SECOND, THIRD] = ['first/password', 'second pässword', 'third password'];

// One server for the tests of one SDK, with names of their own, since making its keys takes longest. All are there
// before the first test is declared: a run ends when the tests declared so far have ended.
const servers = [await dev({ after }), await dev({ after }), await dev({ after })];

for (const [at, { name: sdk, requests, reads }] of [java, dotnet, cocoa].entries()) {
  const server = servers[at];

  /** Sends these bytes, and answers when the whole answer is there; an SDK keeps the connection. */
  const send = async ([method, target, headers, body]) => {
    const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const bytes = Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n`, 'latin1'), Buffer.from(body)]);
    const answer = parseAnswer(await rawExchange(server.port, bytes, { enough: parseAnswer }));
    assert.ok(answer, `${method} ${target} is answered`);
    assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8', 'three of the SDKs compare this text');
    return answer;
  };
  /** Sends the request of that name, and reads the answer in that way. */
  const call = async (read, request, ...args) => reads[read](await send(requests[request](...args)));
  const refused = async (code, request, ...args) => assert.equal((await call('problem', request, ...args)).code, code, request);

  test(`${sdk} registers, signs in and is refused`, async () => {
    const registered = await call('session', 'register', 'ann@example.org', FIRST);
    assert.match(registered.identity, /^[0-9a-f]{32}$/);
    assert.equal(registered.isAdmin, false);
    assert.equal((await call('session', 'signIn', 'ann@example.org', FIRST)).identity, registered.identity);
    await refused(611, 'register', 'ann@example.org', FIRST);
    await refused(611, 'signIn', 'ann@example.org', SECOND);
    await refused(611, 'signIn', 'nobody@example.org', FIRST);
    await refused(602, 'signIn', '', FIRST);
    await refused(601, 'register', 'bob@example.org', 'short');
    if (requests.signInOrRegister) {
      const { identity } = await call('session', 'signInOrRegister', 'bea@example.org', FIRST);
      assert.equal((await call('session', 'signInOrRegister', 'bea@example.org', FIRST)).identity, identity);
      await refused(611, 'signInOrRegister', 'bea@example.org', SECOND);
    }
  });

  test(`${sdk} trades its session for a user token, and for no realm`, async () => {
    const { token, identity } = await call('session', 'register', 'cid@example.org', FIRST);
    await refused(614, 'trade', token, '/~/mine');
    await refused(614, 'trade', `${token.slice(0, -4)}AAAA`, '/~/mine');
    await refused(614, 'trade', `${token.slice(0, -4)}AAAA`, undefined);
    const answer = await send(requests.trade(token, undefined));
    assert.equal(answer.status, 200);
    assert.equal(answer.body.user_token.token_data.identity, identity);
  });

  test(`${sdk} looks up its own account, and learns nothing of others`, async () => {
    const { token, identity } = await call('session', 'register', 'dan@example.org', FIRST);
    await call('session', 'register', 'eva@example.org', FIRST);
    assert.deepEqual(await call('account', 'lookUp', 'dan@example.org', token), {
      identity, isAdmin: false, names: { password: 'dan@example.org' }, metadata: {},
    });
    await call('absence', 'lookUp', 'eva@example.org', token);
    await call('absence', 'lookUp', 'nobody@example.org', token);
    await refused(611, 'lookUp', 'dan@example.org', undefined);
  });

  test(`${sdk} looks up names that it has to escape`, async () => {
    for (const name of ['fay+one@example.org', 'fay one', 'zoë', '日本', 'a=b&c;d', "o'fay(1)"]) {
      const { token } = await call('session', 'register', name, FIRST);
      assert.deepEqual((await call('account', 'lookUp', name, token)).names, { password: name });
    }
    const percent = await call('session', 'register', '100%', FIRST);
    const answer = await send(requests.lookUp('100%', percent.token));
    // realm-java does not escape it at all, so its address says nothing.
    if (sdk === java.name) assert.equal(reads.problem(answer).code, 400);
    else assert.deepEqual(reads.account(answer).names, { password: '100%' });
  });

  test(`${sdk} changes its own password and goes on`, async () => {
    const { token, identity } = await call('session', 'register', 'gil@example.org', FIRST);
    const other = await call('session', 'signIn', 'gil@example.org', FIRST);
    await call('done', 'changePassword', token, SECOND, identity);
    assert.equal((await call('account', 'lookUp', 'gil@example.org', token)).identity, identity);
    await refused(611, 'lookUp', 'gil@example.org', other.token);
    await refused(611, 'signIn', 'gil@example.org', FIRST);
    assert.equal((await call('session', 'signIn', 'gil@example.org', SECOND)).identity, identity);
    await refused(602, 'changePassword', token, '', identity);
    await refused(601, 'changePassword', token, 'short', identity);
    const stranger = await call('session', 'register', 'hal@example.org', FIRST);
    await refused(614, 'changePasswordOf', identity, stranger.token, THIRD);
  });

  test(`${sdk} walks through both flows`, async () => {
    const { token, identity } = await call('session', 'register', 'ida@example.org', FIRST);
    const confirmation = tokenOf(onlyLink((await server.mail('ida@example.org', { subject: /confirm/i })).text));
    await call('done', 'requestEmailConfirmation', 'nobody@example.org');
    await call('done', 'requestEmailConfirmation', 'ida@example.org');
    await call('done', 'confirmEmail', confirmation);
    await refused(614, 'confirmEmail', confirmation);
    await refused(602, 'confirmEmail', '');
    assert.deepEqual((await call('account', 'lookUp', 'ida@example.org', token)).metadata, { isEmailConfirmed: 'true' });

    await call('done', 'requestPasswordReset', 'nobody@example.org');
    await call('done', 'requestPasswordReset', 'ida@example.org');
    const reset = tokenOf(onlyLink((await server.mail('ida@example.org', { subject: /password/i })).text));
    await refused(601, 'completePasswordReset', reset, 'short');
    await refused(614, 'completePasswordReset', confirmation, SECOND);
    await call('done', 'completePasswordReset', reset, SECOND);
    await refused(614, 'completePasswordReset', reset, THIRD);
    await refused(611, 'lookUp', 'ida@example.org', token);
    assert.equal((await call('session', 'signIn', 'ida@example.org', SECOND)).identity, identity);
  });

  test(`${sdk} as an administrator looks users up and sets their passwords`, async () => {
    const ann = await call('session', 'register', 'jon@example.org', FIRST);
    const builtin = { authorization: adminToken(server.data) };
    const made = await server.client.send('PUT', '/auth/users', { provider: 'password', provider_id: 'root', is_admin: true, metadata: { team: 'core' } }, builtin);
    assert.equal(made.status, 200, made.text);
    const set = { user_id: made.body.user_id, data: { new_password: THIRD } };
    assert.equal((await server.client.send('PUT', '/auth/password', set, builtin)).status, 200);

    const admin = await call('session', 'signIn', 'root', THIRD);
    assert.equal(admin.isAdmin, true);
    assert.deepEqual(await call('account', 'lookUp', 'root', admin.token), {
      identity: admin.identity, isAdmin: true, names: { password: 'root' }, metadata: { team: 'core' },
    });
    assert.equal((await call('account', 'lookUp', 'jon@example.org', admin.token)).identity, ann.identity);
    await call('absence', 'lookUp', 'nobody@example.org', admin.token);
    await call('done', 'changePasswordOf', ann.identity, admin.token, SECOND);
    assert.equal((await call('session', 'signIn', 'jon@example.org', SECOND)).identity, ann.identity);
    await refused(612, 'changePasswordOf', 'f'.repeat(32), admin.token, SECOND);
  });

  // Cocoa forgets its session and tells nobody.
  if (requests.signOut) {
    test(`${sdk} signs out`, async () => {
      const { token } = await call('session', 'register', 'kay@example.org', FIRST);
      await call('done', 'signOut', token);
      await refused(614, 'lookUp', 'kay@example.org', token);
      await refused(614, 'signOut', token);
      await refused(614, 'trade', token, undefined);
    });
  }
}
