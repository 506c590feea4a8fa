// A stranger's first minutes: what the program prints and writes must work as it stands.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { rawExchange, rawRequest, statusOf } from './lib/client.mjs';
import { freePort, temporaryDirectory } from './lib/place.mjs';
import { dev, Installation, run } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { until } from './lib/wait.mjs';

test('init writes a configuration that check accepts once the relay is filled in', async (t) => {
  const relay = await ScriptedRelay.start(t, { auth: true });
  const directory = join(await temporaryDirectory(), 'site');
  const made = await run(['init', directory]);
  assert.equal(made.code, 0, made.stderr);
  const files = await readdir(directory);
  for (const name of ['regain.toml', '.gitignore']) assert.ok(files.includes(name), `${name} in ${files}`);

  const file = join(directory, 'regain.toml');
  const config = await readFile(file, 'utf8');
  const connection = /^connectionString = .*$/m;
  assert.match(config, connection);
  await writeFile(file, config.replace(connection, `connectionString = "smtp://mailer:a-relay-password@localhost:${relay.port}"`));
  const env = { REGAIN_PORT: String(await freePort()) };
  const check = await run(['check'], { cwd: directory, env });
  assert.equal(check.code, 0, check.stdout + check.stderr);
  assert.doesNotMatch(check.stdout + check.stderr, /a-relay-password/);
  assert.ok(relay.sessions.some((s) => s.commands.some((line) => line.startsWith('AUTH'))), 'check tries the login');
  assert.equal(relay.mails.length, 0, 'check sends nothing');

  const again = await run(['init', directory]);
  assert.notEqual(again.code, 0, 'a second init overwrites nothing');
  assert.equal(await readFile(file, 'utf8'), config.replace(connection, `connectionString = "smtp://mailer:a-relay-password@localhost:${relay.port}"`));
});

test('check and serve report all mistakes at once, with key and line, and no secret', async () => {
  const directory = await temporaryDirectory();
  const file = join(directory, 'regain.toml');
  await writeFile(file, `adress = "127.0.0.1"
port = "many"
[[authProviders]]
type = "password"
[authProviders.emailHandlerConfig]
connectionString = "smtp://user:a-relay-password@localhost?poool=true"
resetTokenLifetime = "48h"
`);
  for (const command of ['check', 'serve']) {
    const { code, stdout, stderr } = await run([command, '--config', file]);
    assert.equal(code, 78);
    for (const part of ['adress', 'address', 'regain.toml:1', 'port', 'regain.toml:2', 'connectionString', 'regain.toml:6', 'poool', 'from', 'resetTokenLifetime', 'regain.toml:7']) {
      assert.ok(stderr.includes(part), `${command} names ${part}:\n${stderr}`);
    }
    assert.doesNotMatch(stdout + stderr, /a-relay-password/);
  }
});

test('dev prints addresses that answer and a curl line that works as it is printed', async (t) => {
  const server = await dev(t);
  const addresses = [...new Set(server.output.match(/http:\/\/[^\s'"<>]+/g))];
  for (const path of ['', '/dev/mailbox']) {
    const address = addresses.find((a) => a.replace(/\/$/, '') === server.url + path);
    assert.ok(address, `${server.url}${path} among ${addresses}`);
    assert.equal((await fetch(address)).status, 200);
  }
  // The command and the lines it is continued on.
  const curl = /^.*?(curl (?:.*\\\n)*.*)$/m.exec(server.output)?.[1];
  assert.ok(curl, server.output);
  const { stdout } = await promisify(execFile)('bash', ['-c', `${curl.replace(/^curl /, 'curl --silent --show-error --fail ')}`]);
  assert.ok(JSON.parse(stdout), stdout);
  const messages = await (await fetch(`${server.url}/dev/mailbox/messages`)).json();
  assert.equal(typeof messages.length, 'number');
});

test('dev shows the mail as it would look: list, text, source and JSON', async (t) => {
  const server = await dev(t);
  await server.client.register('ann@example.org', 'first password');
  const mail = await server.mail('ann@example.org');
  assert.deepEqual(Object.keys(mail).sort(), ['at', 'from', 'html', 'id', 'subject', 'text', 'to']);
  assert.ok(Math.abs(Date.parse(mail.at) - Date.now()) < 60_000);
  const page = await (await fetch(`${server.url}/dev/mailbox`)).text();
  assert.ok(page.includes('ann@example.org'));
});

test('the mailbox is not for pages of strangers: a foreign Host is refused', async (t) => {
  const server = await dev(t);
  for (const path of ['/', '/dev/mailbox', '/dev/mailbox/messages']) {
    const answer = await rawExchange(server.port, rawRequest('GET', path, '', { Host: 'evil.example' }));
    assert.equal(statusOf(answer), 403, path);
  }
});

test('serve has nothing of dev', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  const server = await installation.serve();
  for (const path of ['/dev', '/dev/mailbox', '/dev/mailbox/messages', '/DEV/mailbox/', '/']) {
    assert.equal((await server.client.send('GET', path)).status, 404, path);
  }
  assert.equal((await server.client.send('DELETE', '/dev/mailbox/messages')).status, 404);
});

test('serve without mail answers 501 to the mail actions and works otherwise', async (t) => {
  const installation = await Installation.make(t, { mail: null });
  const server = await installation.serve();
  assert.equal((await server.client.register('ann@example.org', 'first password')).status, 200);
  const { status, body } = await server.client.askForReset('ann@example.org');
  assert.deepEqual([status, body.code], [501, 803]);
});

test('mail inspect tells what a URL means as flat JSON, shows no password in errors and reads standard input', async () => {
  const url = 'smtps://user%40example.org:a-relay-password@smtp.example.com?pool=true&maxConnections=3';
  const { code, stdout, stderr } = await run(['mail', 'inspect', '--json', url]);
  assert.equal(code, 0, stderr);
  const meaning = JSON.parse(stdout);
  assert.deepEqual(
    [meaning.host, meaning.port, meaning.secure, meaning.user, meaning.pool, meaning.maxConnections, meaning['tls.servername'], meaning.rateLimit],
    ['smtp.example.com', 465, true, 'user@example.org', true, 3, null, null],
  );
  const fromInput = await run(['mail', 'inspect', '--json', '-'], { input: `${url}\n` });
  assert.deepEqual(JSON.parse(fromInput.stdout), meaning);

  for (const bad of ['smtp://user:a-relay-password@host?poool=true', 'http://user:a-relay-password@host', 'smtp://user:a-relay-password@ho st']) {
    const refused = await run(['mail', 'inspect', bad]);
    assert.equal(refused.code, 1);
    assert.equal(refused.stdout, '');
    assert.ok(refused.stderr.length > 0);
    assert.doesNotMatch(refused.stderr, /a-relay-password/);
  }
  const readable = await run(['mail', 'inspect', url]);
  assert.equal(readable.code, 0);
  assert.doesNotMatch(readable.stdout, /a-relay-password/);
});

test('mail inspect-from tells name and address', async () => {
  const { code, stdout } = await run(['mail', 'inspect-from', '--json', '"Sender Name" foo@bar.com']);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout).addresses, [{ name: 'Sender Name', address: 'foo@bar.com' }]);
  const plain = await run(['mail', 'inspect-from', '--json', 'foo@bar.com']);
  assert.deepEqual(JSON.parse(plain.stdout).addresses, [{ name: '', address: 'foo@bar.com' }]);
  assert.equal((await run(['mail', 'inspect-from', 'nobody'])).code, 1);
});

test('the operator sees a dead letter, has it sent again, and drops one that waits', async (t) => {
  const relay = await ScriptedRelay.start(t);
  relay.script.rcpt = '550 5.1.1 no such user';
  const installation = await Installation.make(t, { relay: relay.url });
  const server = await installation.serve();
  const outbox = (...args) => installation.run(['outbox', ...args, '--config', installation.file]);
  await server.client.register('ann@example.org', 'first password');
  const dead = await installation.letter('confirm', 'dead', (letter) => letter.state === 'dead');
  const shown = await outbox('show', dead.id);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /550/);

  relay.behave();
  const retried = await outbox('retry', dead.id);
  assert.equal(retried.code, 0, retried.stderr);
  await relay.mail('ann@example.org');
  assert.equal((await installation.letters()).length, 2, 'the dead one stays, linked to the new one');

  relay.script.rcpt = '450 4.2.1 later';
  await server.client.register('ben@example.org', 'first password');
  const waiting = await until('a letter put off', async () =>
    (await installation.letters()).find((letter) => letter.state === 'waiting' && letter.attempts === 1));
  assert.equal((await outbox('drop', waiting.id)).code, 0);
  assert.equal((await installation.letters()).find((letter) => letter.id === waiting.id).state, 'dropped');
  assert.notEqual((await outbox('drop', waiting.id)).code, 0, 'it is closed already');
  assert.notEqual((await outbox('show', '01890000-0000-7000-8000-000000000000')).code, 0);
});

test('a port that is taken is told in one sentence', async (t) => {
  const taken = http.createServer();
  await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.after(() => taken.close());
  const directory = await temporaryDirectory();
  const { code, stderr } = await run(['dev'], { cwd: directory, env: { REGAIN_PORT: String(taken.address().port) } });
  assert.equal(code, 1);
  assert.ok(stderr.includes(String(taken.address().port)), stderr);
  assert.doesNotMatch(stderr, /panicked|backtrace/);
});
