// What clients in the field do: the code of realm-js as published, against `regain dev`.

import assert from 'node:assert/strict';
import test from 'node:test';

import { onlyLink, tokenOf } from './lib/mail.mjs';
import { loadRealm } from './lib/realm.mjs';
import { dev } from './lib/regain.mjs';

const CLIENTS = [
  { version: '2.19', globalFetch: false },
  // 2.19 takes the platform's fetch where there is one, which names no JSON on logging out.
  { version: '2.19', globalFetch: true },
  { version: '2.29', globalFetch: false },
];

for (const { version, globalFetch } of CLIENTS) {
  const { User, Credentials, AuthError } = loadRealm(version, { globalFetch });

  test(`realm-js ${version} ${globalFetch ? 'with' : 'without'} fetch walks through both flows`, async (t) => {
    const server = await dev(t);
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

  test(`realm-js ${version} ${globalFetch ? 'with' : 'without'} fetch asks for a confirmation again`, async (t) => {
    const server = await dev(t, { env: { REGAIN_LIMITS__PER_ADDRESS: 'false' } });
    const user = await User.login(server.url, Credentials.usernamePassword('ben@example.org', 'first password', true));
    await server.mail('ben@example.org');
    await User.requestEmailConfirmation(server.url, 'ben@example.org');
    const again = await server.mail('ben@example.org', { count: 2 });
    await User.confirmEmail(server.url, tokenOf(onlyLink(again.text)));
    await user.logout();
  });
}
