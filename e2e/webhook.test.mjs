// The program with a webhook in place of a relay, against a receiver that checks signatures with the library that receivers
// use (standardwebhooks from npm).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { Webhook } from 'standardwebhooks';

import { makeCertificates } from './lib/certificates.mjs';
import { onlyLink, tokenOf } from './lib/mail.mjs';
import { freePort, temporaryDirectory } from './lib/place.mjs';
import { Receiver, SECRET } from './lib/receiver.mjs';
import { AFTER_A_CRASH, Installation } from './lib/regain.mjs';
import { pause, until } from './lib/wait.mjs';

const ANN = 'ann@example.org';
// Every command of the program reads the configuration, which names this variable.
process.env.E2E_WEBHOOK_KEY = 'from-the-environment';

/** A server whose mails go to `receiver`. */
async function installed(t, receiver, { webhook = {}, mail = {}, env } = {}) {
  const installation = await Installation.make(t, {
    mail: {
      connectionString: undefined,
      from: undefined,
      webhook: { url: receiver.url, secret: SECRET, ...webhook },
      ...mail,
    },
  });
  return { installation, server: await installation.serve({ env }) };
}

/** The same with the account of ANN, whose confirmation mail is taken. */
async function withAccount(t, receiver, options) {
  const { installation, server } = await installed(t, receiver, options);
  assert.equal((await server.client.register(ANN, 'first password')).status, 200);
  await receiver.mail('mail.confirm');
  await installation.letter('confirm', 'sent', (letter) => letter.state === 'sent');
  return { installation, server };
}

test('each mail is posted once, signed, and its link completes what it is for', async (t) => {
  const receiver = await Receiver.start(t);
  receiver.script = () => [202, { 'content-type': 'text/plain' }, 'queued as 4Bx9 for ann@example.org'];
  const { installation, server } = await withAccount(t, receiver, {
    mail: { from: '"Notes" <notes@example.org>', resetActionConfig: { subject: 'For %EMAIL%' } },
    webhook: { headers: { Authorization: 'Bearer %%E2E_WEBHOOK_KEY%%' } },
    env: { REGAIN_LOG: 'trace' },
  });
  const confirmation = receiver.of('mail.confirm')[0];
  assert.equal(confirmation.path, '/regain?key=hunter2');
  assert.equal(confirmation.headers.authorization, 'Bearer from-the-environment');
  assert.match(confirmation.headers['user-agent'], /^regain\/\d/);
  const { data } = confirmation.body;
  assert.equal(data.id, confirmation.headers['webhook-id']);
  assert.equal(data.link, onlyLink(data.text));
  assert.equal(data.token, tokenOf(data.link));
  assert.equal((await server.client.confirm(data.token)).status, 200);

  assert.equal((await server.client.askForReset(ANN)).status, 200);
  const reset = (await receiver.mail('mail.reset')).body.data;
  assert.deepEqual(
    { to: reset.to, from: reset.from, subject: reset.subject, messageId: reset.messageId, expiresIn: reset.expiresIn },
    { to: ANN, from: '"Notes" <notes@example.org>', subject: `For ${ANN}`, messageId: `<${reset.id}@example.org>`, expiresIn: 3600 },
  );
  assert.ok(reset.html.includes(reset.link) && reset.clientIp === '127.0.0.1');
  assert.equal((await fetch(reset.link)).status, 200);
  assert.equal((await server.client.completeReset(reset.token, 'second password')).status, 200);
  assert.equal((await server.client.signIn(ANN, 'second password')).status, 200);

  const notice = (await receiver.mail('mail.password_changed')).body.data;
  assert.deepEqual([notice.to, notice.link, notice.token], [ANN, null, null]);
  await installation.letter('password_changed', 'sent', (letter) => letter.state === 'sent');
  assert.equal(receiver.requests.length, 3, 'each once');
  const stored = JSON.stringify(await installation.letters());
  assert.ok(stored.includes('queued as 4Bx9'), 'what the receiver said is kept');
  for (const said of [stored, server.output]) {
    assert.ok(!said.includes('hunter2') && !said.includes(reset.token) && !said.includes('from-the-environment'));
  }
  assert.ok(!server.output.includes(ANN) && !server.output.includes(SECRET.slice(6)));
  assert.ok(/\b(TRACE|DEBUG)\b/.test(server.output), 'everything that there is to log was logged');
});

test('an attempt that failed is repeated with the same body and id, and a signature of its own time', async (t) => {
  const receiver = await Receiver.start(t);
  const { installation, server } = await withAccount(t, receiver);
  receiver.script = () => (receiver.of('mail.reset').length < 3 ? 500 : 202);
  await server.client.askForReset(ANN);
  await receiver.mail('mail.reset');
  const tries = receiver.of('mail.reset');
  assert.equal(tries.length, 3);
  for (const again of tries) {
    assert.deepEqual(again.raw, tries[0].raw);
    assert.equal(again.headers['webhook-id'], tries[0].headers['webhook-id']);
  }
  const letter = await installation.letter('reset', 'sent', (found) => found.state === 'sent');
  assert.deepEqual([letter.attempts, letter.id], [3, tries[0].body.data.id]);
  const { token } = tries[0].body.data;
  assert.equal((await server.client.completeReset(token, 'second password')).status, 200);
});

test('a mail that was taken when the server was killed comes again under the same id', async (t) => {
  const receiver = await Receiver.start(t);
  const { installation, server } = await withAccount(t, receiver);
  // The server sleeps while the receiver takes responsibility, and never wakes again.
  receiver.script = () => server.freeze().then(() => 202);
  await server.client.askForReset(ANN);
  const first = await receiver.mail('mail.reset');
  await server.kill();

  receiver.script = () => undefined;
  const restarted = await installation.serve();
  const second = await receiver.mail('mail.reset', { count: 2, ms: AFTER_A_CRASH });
  assert.equal(second.headers['webhook-id'], first.headers['webhook-id']);
  assert.deepEqual(second.raw, first.raw);
  await installation.letter('reset', 'sent', (letter) => letter.state === 'sent');
  assert.equal((await restarted.client.completeReset(second.body.data.token, 'second password')).status, 200);
});

test('a receiver that wants a rest has it, no letter is charged, and it recovers', async (t) => {
  const receiver = await Receiver.start(t);
  const { installation, server } = await withAccount(t, receiver);
  let isTired = true;
  receiver.script = () => (isTired ? [429, { 'retry-after': '4' }, 'slow down'] : 202);
  await server.client.askForReset(ANN);
  await until('degraded health', async () => (await fetch(`${server.url}/health`).then((r) => r.json())).status === 'degraded');
  const waiting = await installation.letter('reset', 'waiting', (letter) => letter.state === 'waiting');
  assert.equal(waiting.attempts, 0);
  isTired = false;
  await receiver.mail('mail.reset');
  // More than two where this machine is slow.
  const tries = receiver.of('mail.reset');
  assert.ok(tries.length >= 2);
  for (const [i, { at }] of tries.slice(1).entries()) assert.ok(at - tries[i].at >= 4_000, `left alone for ${at - tries[i].at} ms`);
  const letter = await installation.letter('reset', 'sent', (found) => found.state === 'sent');
  assert.equal(letter.attempts, 1);
  await until('good health', async () => (await fetch(`${server.url}/health`).then((r) => r.json())).status === 'ok');
});

test('a wrong secret gives up no mail, and is told', async (t) => {
  const receiver = await Receiver.start(t, { secret: 'whsec_HyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4=' });
  const { installation, server } = await installed(t, receiver);
  await server.client.register(ANN, 'first password');
  await until('a refusal', () => receiver.requests.some((seen) => seen.refused));
  await until('a word in the log', () => server.output.includes('webhook: 401 Unauthorized (does the receiver know the secret?)'));
  const letter = await installation.letter('confirm', 'waiting', (found) => found.state === 'waiting');
  assert.equal(letter.attempts, 0);
  receiver.verifier = new Webhook(SECRET);
  await receiver.mail('mail.confirm');
});

test('a receiver that answers 400 to everybody rests after three domains, and gives up no mail', async (t) => {
  const receiver = await Receiver.start(t);
  receiver.script = () => 400;
  const { installation, server } = await installed(t, receiver);
  const names = ['ann@one.example', 'bob@two.example', 'cleo@three.example'];
  for (const name of names) assert.equal((await server.client.register(name, 'first password')).status, 200);
  await until('degraded health', async () => (await fetch(`${server.url}/health`).then((r) => r.json())).status === 'degraded');
  assert.ok((await installation.letters()).every((letter) => ['waiting', 'claimed'].includes(letter.state)));
  receiver.script = () => undefined;
  await receiver.mail('mail.confirm', { count: 3 });
  assert.deepEqual(receiver.requests.filter((seen) => seen.accepted).map((seen) => seen.body.data.to).sort(), names);
});

test('with two secrets, receivers that know either take the mail', async (t) => {
  const next = 'whsec_HyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4=';
  for (const secret of [SECRET, next]) {
    const receiver = await Receiver.start(t, { secret });
    await withAccount(t, receiver, { webhook: { secret: [next, SECRET] } });
  }
});

test('a mail that is refused for good ends as dead with what was said, and the next one goes', async (t) => {
  const receiver = await Receiver.start(t);
  receiver.script = ({ body }) => (body.data.to === ANN ? [422, {}, 'ann@example.org is suppressed'] : 202);
  const { installation, server } = await installed(t, receiver);
  await server.client.register(ANN, 'first password');
  const letter = await installation.letter('confirm', 'dead', (found) => found.state === 'dead');
  assert.equal(letter.attempts, 1);
  assert.ok(JSON.stringify(letter).includes('422 Unprocessable Entity'), JSON.stringify(letter));
  await server.client.register('bob@example.org', 'first password');
  await receiver.mail('mail.confirm');
});

test('a receiver that never answers is given up in time, and a stop does not wait for it', async (t) => {
  const receiver = await Receiver.start(t);
  const { installation, server } = await withAccount(t, receiver, { webhook: { timeout: 2 } });
  receiver.script = () => new Promise(() => {});
  await server.client.askForReset(ANN);
  const letter = await installation.letter('reset', 'put off', (found) => found.attempts >= 1);
  assert.ok(JSON.stringify(letter).includes('no answer within 2s'), JSON.stringify(letter));
  await server.stop();
});

test('the receiver of the guide takes mails, and refuses what is not signed', async (t) => {
  const guide = await readFile(new URL('../docs/webhook.md', import.meta.url), 'utf8');
  const port = await freePort();
  const code = /```js\n([^]*?)```/.exec(guide)[1].replace('.listen(3000)', `.listen(${port}, '127.0.0.1')`);
  const send = 'const send = async (mail) => `sent to the provider as ${mail.id.length}`;\n';
  const receiver = spawn('node', ['--input-type=module', '-e', send + code], {
    cwd: new URL('.', import.meta.url).pathname,
    env: { ...process.env, WEBHOOK_SECRET: SECRET },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  t.after(() => receiver.kill('SIGKILL'));
  const url = `http://127.0.0.1:${port}/`;
  await until('the receiver to refuse a forged request', async () => (await fetch(url, { method: 'POST', body: '{}' })).status === 401);
  const { installation, server } = await installed(t, { url });
  await server.client.register(ANN, 'first password');
  const letter = await installation.letter('confirm', 'sent', (found) => found.state === 'sent');
  assert.ok(JSON.stringify(letter).includes('202 Accepted: sent to the provider as 36'), JSON.stringify(letter));
});

test('HTTPS is checked: a certificate of an authority that is trusted is taken, another is not', async (t) => {
  const tls = await makeCertificates(await temporaryDirectory());
  const receiver = await Receiver.start(t, { tls });
  const { installation, server } = await installed(t, receiver);
  await server.client.register(ANN, 'first password');
  await until('a word in the log', () => /webhook: TLS: .*certificate/.test(server.output));
  await pause(300);
  assert.equal(receiver.requests.length, 0);
  await server.stop();
  await installation.serve({ env: { SSL_CERT_FILE: tls.authorityFile } });
  await receiver.mail('mail.confirm');
});

test('`config show` has nothing of a webhook that is secret', async (t) => {
  const receiver = await Receiver.start(t);
  const { installation } = await installed(t, receiver, { webhook: { headers: { 'X-Key': 'hunter2' } } });
  const { code, stdout } = await installation.run(['config', 'show', '--config', installation.file]);
  assert.equal(code, 0);
  assert.ok(stdout.includes(`http://localhost:${receiver.port}/***`), stdout);
  assert.ok(!stdout.includes('hunter2') && !stdout.includes(SECRET.slice(6)), stdout);
});

test('a relay beside a webhook, and a webhook in the clear, are refused before anything starts', async (t) => {
  for (const [mail, said] of [
    [{ connectionString: 'smtp://localhost' }, 'connectionString: stands beside webhook'],
    [{ connectionString: undefined, webhook: { url: 'http://mail.example.org/x', secret: SECRET } }, 'webhook.url: is http: beyond this machine'],
    [{ connectionString: undefined, webhook: { url: 'https://mail.example.org/x', secret: 'hunter2' } }, 'webhook.secret: is no secret'],
  ]) {
    const installation = await Installation.make(t, {
      mail: { webhook: { url: 'https://mail.example.org', secret: SECRET }, ...mail },
    });
    const { code, stderr } = await installation.run(['serve', '--config', installation.file]);
    assert.notEqual(code, 0);
    assert.ok(stderr.includes(said) && !stderr.includes('hunter2'), stderr);
  }
});
