// Requests that race for one thing, through the whole server.

import assert from 'node:assert/strict';
import test from 'node:test';

import { onlyLink, tokenOf } from './lib/mail.mjs';
import { dev } from './lib/regain.mjs';

const ANN = 'ann@example.org';

async function resetToken(server) {
  await server.client.register(ANN, 'first password');
  await server.client.askForReset(ANN);
  return tokenOf(onlyLink((await server.mail(ANN, { subject: /password/i })).text));
}

test('of fifty parallel completions with one token exactly one wins, and its password works', async (t) => {
  const server = await dev(t);
  const token = await resetToken(server);
  const passwords = Array.from({ length: 50 }, (_, i) => `password number ${i}`);
  const answers = await Promise.all(passwords.map((password) => server.client.completeReset(token, password)));

  const won = passwords.filter((_, i) => answers[i].status === 200);
  assert.equal(won.length, 1);
  for (const { status, body } of answers) {
    // Hashing has a bounded queue: beyond it is 503, which changes nothing.
    assert.ok(status === 200 || (status === 403 && body.code === 614) || (status === 503 && body.code === 802), `${status}`);
  }
  assert.equal((await server.client.signIn(ANN, won[0])).status, 200);
  assert.equal((await server.client.signIn(ANN, passwords.find((p) => p !== won[0]))).status, 401);
});

test('a reset while sign-ins with the old password are hashing leaves no live session', async (t) => {
  const server = await dev(t);
  const token = await resetToken(server);
  const signIns = Array.from({ length: 30 }, () => server.client.signIn(ANN, 'first password'));
  // When the first is answered, the others are there.
  assert.equal((await Promise.any(signIns)).status, 200);
  const reset = await server.client.completeReset(token, 'second password');
  assert.equal(reset.status, 200);
  const answers = await Promise.all(signIns);
  const sessions = answers.filter((a) => a.status === 200).map((a) => a.body.refresh_token.token);
  assert.ok(sessions.length > 0);
  for (const session of sessions) {
    const { status, body } = await server.client.changePassword(session, 'third password');
    assert.deepEqual([status, body.code], [401, 611]);
  }
  assert.equal((await server.client.signIn(ANN, 'second password')).status, 200);
});

test('of twenty parallel registrations of one name exactly one wins', async (t) => {
  const server = await dev(t);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => server.client.register(ANN, `password number ${i}`)));
  assert.equal(answers.filter((a) => a.status === 200).length, 1);
  assert.ok(answers.every((a) => [200, 401, 503].includes(a.status)));
  const winner = answers.findIndex((a) => a.status === 200);
  assert.equal((await server.client.signIn(ANN, `password number ${winner}`)).status, 200);
});
