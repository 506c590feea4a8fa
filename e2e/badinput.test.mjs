// Whatever is sent: a clear 4xx, never a 500, nothing stored, nothing mailed, and the server goes on.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { rawExchange, rawRequest, statusOf } from './lib/client.mjs';
import { onlyLink, parseMail } from './lib/mail.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';

const UPDATE = '/auth/password/updateAccount';
const PASSWORD = 'long enough password';
const JSON_TYPE = { 'Content-Type': 'application/json' };

const register = (fields) => ({ provider: 'password', username: 'eve@example.org', password: PASSWORD, register: true, ...fields });
const update = (data, fields) => ({ provider_id: 'eve@example.org', data, ...fields });

/** Bodies that are JSON, but not what belongs there: path, body, status and code, names of the parameters. */
const WRONG = [
  ['the name is a number', '/auth', register({ username: 7 }), 400, 601, ['username']],
  ['the name is an array', '/auth', register({ username: ['eve@example.org'] }), 400, 601, ['username']],
  ['the name is an object', '/auth', register({ username: { a: 1 } }), 400, 601, ['username']],
  ['the name is true', '/auth', register({ username: true }), 400, 601, ['username']],
  ['the name is null', '/auth', register({ username: null }), 400, 602, ['username']],
  ['the name is missing', '/auth', register({ username: undefined }), 400, 602, ['username']],
  ['the name is empty', '/auth', register({ username: '' }), 400, 602, ['username']],
  ['the name holds NUL', '/auth', register({ username: 'eve\0@example.org' }), 400, 601, ['username']],
  ['the name holds a line break', '/auth', register({ username: 'eve@example.org\r\nBcc: v@example.org' }), 400, 601, ['username']],
  ['the name has 300 bytes', '/auth', register({ username: `${'e'.repeat(290)}@ex.org` }), 400, 601, ['username']],
  ['the password is a number', '/auth', register({ password: 12345678 }), 400, 601, ['password']],
  ['the password is an array', '/auth', register({ password: [PASSWORD] }), 400, 601, ['password']],
  ['the password is missing', '/auth', register({ password: undefined }), 400, 602, ['password']],
  ['the password is short', '/auth', register({ password: 'short' }), 400, 601, ['password']],
  ['the password has 2,000 bytes', '/auth', register({ password: 'p'.repeat(2000) }), 400, 601, ['password']],
  ['register is a word', '/auth', register({ register: 'false' }), 400, 601, ['register']],
  ['register is a number', '/auth', register({ register: 1 }), 400, 601, ['register']],
  ['the provider is missing', '/auth', register({ provider: undefined }), 400, 602, ['provider']],
  ['the provider is an array', '/auth', register({ provider: ['password'] }), 400, 601, ['provider']],
  ['the provider is unknown', '/auth', register({ provider: 'facebook' }), 400, 601, ['provider']],
  ['user_info is a string', '/auth', { provider: 'password', data: 'eve@example.org', user_info: PASSWORD }, 400, 601, ['user_info']],
  ['user_info is an array', '/auth', { provider: 'password', data: 'eve@example.org', user_info: [PASSWORD] }, 400, 601, ['user_info']],
  ['an array is the body of a sign-in', '/auth', [], 400, 602, ['provider']],
  ['data is missing', UPDATE, { provider_id: 'ann@example.org' }, 400, 602, ['data']],
  ['data is a string', UPDATE, update('reset_password'), 400, 601, undefined],
  ['data is an array', UPDATE, update(['reset_password']), 400, 601, undefined],
  ['the action is missing', UPDATE, update({}), 400, 601, ['action']],
  ['the action is a number', UPDATE, update({ action: 1 }), 400, 601, ['action']],
  ['the action is unknown', UPDATE, update({ action: 'reset' }), 400, 601, ['action']],
  ['nobody is named for a reset', UPDATE, { data: { action: 'reset_password' } }, 400, 602, ['provider_id']],
  ['an array is named for a reset', UPDATE, update({ action: 'reset_password' }, { provider_id: ['ann@example.org'] }), 400, 601, ['provider_id']],
  ['a number is named for a confirmation', UPDATE, update({ action: 'request_email_confirmation' }, { provider_id: 5 }), 400, 601, ['provider_id']],
  ['NUL is in the name for a reset', UPDATE, update({ action: 'reset_password' }, { provider_id: 'ann@example.org\0' }), 400, 601, ['provider_id']],
  ['a line break is in the name for a reset', UPDATE, update({ action: 'reset_password' }, { provider_id: 'ann@example.org\nBcc: v@example.org' }), 400, 601, ['provider_id']],
  ['token and password are missing', UPDATE, update({ action: 'complete_reset' }), 400, 602, ['new_password', 'token']],
  ['the token is an array', UPDATE, update({ action: 'complete_reset', token: ['x'], new_password: PASSWORD }), 400, 601, ['token']],
  ['the token is a number', UPDATE, update({ action: 'confirm_email', token: 5 }), 400, 601, ['token']],
  ['the new password is a number', UPDATE, update({ action: 'complete_reset', token: 'x', new_password: 5 }), 400, 601, ['new_password']],
  ['the token is no token', UPDATE, update({ action: 'complete_reset', token: '%TOKEN%', new_password: PASSWORD }), 403, 614, undefined],
  ['the token holds NUL', UPDATE, update({ action: 'confirm_email', token: 'a\0b' }), 403, 614, undefined],
];

/** Bodies that are not JSON, or JSON that no parser should take; raw, with the statuses allowed. */
const BROKEN = [
  ['cut off', '{"provider":"password"', [400]],
  ['a bare string', '"password"', [400]],
  ['null', 'null', [400]],
  ['trailing bytes', '{"provider":"password"} x', [400]],
  ['a lone surrogate', '{"provider":"password","username":"\\ud800","password":"long enough password"}', [400]],
  ['bytes that are no UTF-8', Buffer.from('{"provider":"\xff\xfe"}', 'latin1'), [400]],
  ['duplicate keys', '{"provider":"password","username":"eve@example.org","username":"ann@example.org","password":"long enough password","register":true}', [400]],
  ['duplicate keys deep inside', '{"provider":"password","data":"eve@example.org","user_info":{"register":true,"password":"long enough password","password":"x"}}', [400]],
  ['100 kB of [', '['.repeat(100_000), [400]],
  ['100 kB of nested objects', '{"a":'.repeat(17_000), [400]],
  ['1 MB', JSON.stringify(register({ username: 'e'.repeat(1_000_000) })), [413]],
];

describe('bad input', () => {
  let relay, installation, server, teardown, mailsBefore, lettersBefore;

  before(async () => {
    const hooks = [];
    const suite = { after: (hook) => hooks.push(hook) };
    teardown = async () => {
      for (const hook of hooks.reverse()) await hook();
    };
    relay = await ScriptedRelay.start(suite);
    installation = await Installation.make(suite, { relay: relay.url });
    server = await installation.serve();
    // An account to aim at, with its confirmation done with.
    await server.client.register('ann@example.org', PASSWORD);
    await relay.mail('ann@example.org');
    await installation.letter('confirm', 'sent', (letter) => letter.state === 'sent');
    mailsBefore = relay.mails.length;
    lettersBefore = await installation.letters();
  });

  after(async () => {
    try {
      // Nothing of all this was stored or mailed, and the server still does its work.
      assert.deepEqual(await installation.letters(), lettersBefore);
      assert.equal(relay.mails.length, mailsBefore);
      assert.equal((await server.client.signIn('eve@example.org', PASSWORD)).status, 401);
      assert.equal((await server.client.signIn('ann@example.org', PASSWORD)).status, 200);
      assert.doesNotMatch(server.output, /panicked/);
    } finally {
      await teardown();
    }
  });

  for (const [what, path, body, status, code, names] of WRONG) {
    test(`where ${what}: ${status}, code ${code}`, async () => {
      const answer = await server.client.send('POST', path, body);
      assert.deepEqual([answer.status, answer.body?.code], [status, code], answer.text);
      assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
      if (names) assert.deepEqual(answer.body.invalid_params.map((p) => p.name), names);
    });
  }

  for (const [what, body, statuses] of BROKEN) {
    for (const path of ['/auth', UPDATE]) {
      test(`a body of ${what} to ${path}: ${statuses}`, async () => {
        const answer = await rawExchange(server.port, rawRequest('POST', path, body, JSON_TYPE));
        assert.ok(statuses.includes(statusOf(answer)), answer.toString().slice(0, 300));
        assert.match(answer.toString(), /content-type: application\/json; charset=utf-8\r\n/i);
      });
    }
  }

  test('a body of 1 MB without a length is cut off with 413', async () => {
    const head = 'POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    const chunk = `${(65_536).toString(16)}\r\n${'a'.repeat(65_536)}\r\n`;
    const answer = await rawExchange(server.port, [head, '1\r\n"\r\n', ...Array(16).fill(chunk), '0\r\n\r\n'],
      { enough: (bytes) => statusOf(bytes) });
    assert.equal(statusOf(answer), 413);
  });

  test('a charset other than UTF-8: 415', async () => {
    const answer = await server.client.send('POST', '/auth', '{}', { 'content-type': 'application/json; charset=latin1' });
    assert.equal(answer.status, 415);
  });

  test('a form where JSON belongs counts as nothing: 602', async () => {
    const answer = await server.client.send('POST', '/auth', 'provider=password', { 'content-type': 'application/x-www-form-urlencoded' });
    assert.deepEqual([answer.status, answer.body.code], [400, 602]);
  });

  test('an unknown path or method: 404', async () => {
    for (const [method, path] of [['GET', '/auth'], ['DELETE', '/auth/password/updateAccount'], ['GET', '/nothing'], ['POST', '/auth/../etc/passwd']]) {
      const answer = await server.client.send(method, path);
      assert.equal(answer.status, 404, `${method} ${path}`);
      assert.ok(answer.headers.get('content-type'));
    }
  });

  test('half a request leaves others alone and gets no 500', async () => {
    const half = 'POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"provider":';
    const answer = await rawExchange(server.port, half, { end: true });
    assert.ok([undefined, 400, 408].includes(statusOf(answer)), answer.toString());
    const halfHead = await rawExchange(server.port, 'POST /auth HT', { end: true });
    assert.ok([undefined, 400, 408].includes(statusOf(halfHead)), halfHead.toString());
  });

  test('header lines without end: 431 or a closed connection', async () => {
    for (const line of ['X-Long: ' + 'a'.repeat(300_000), 'X-Many: a\r\n'.repeat(20_000)]) {
      const answer = await rawExchange(server.port, ['GET /health HTTP/1.1\r\nHost: x\r\n', line], { enough: (bytes) => statusOf(bytes) });
      assert.ok([undefined, 400, 431].includes(statusOf(answer)), answer.toString().slice(0, 100));
    }
    assert.equal((await server.client.send('GET', '/health')).status, 200);
  });

  test('what is no HTTP: 400 or a closed connection', async () => {
    for (const bytes of ['\r\n\r\n\r\n', 'EHLO relay.test\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'GET  HTTP/9.9\r\n\r\n', 'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n']) {
      const answer = await rawExchange(server.port, Buffer.from(bytes, 'latin1'), { end: true });
      assert.ok([undefined, 400, 404, 505].includes(statusOf(answer)), answer.toString().slice(0, 100));
    }
  });

  test('a list of addresses is a name without mail', async () => {
    for (const name of ['v@x.org,a@x.org', 'ann@example.org, v@x.org', '"ann@example.org" <v@x.org>', 'ann@example.org (comment)', 'a b@example.org']) {
      assert.equal((await server.client.askForReset(name)).status, 200, name);
      assert.equal((await server.client.askForConfirmation(name)).status, 200, name);
    }
  });

  test('bad fields of the reset form: 400 pages, nothing changed', async () => {
    const form = (body) => server.client.send('POST', '/reset-password', body, { 'content-type': 'application/x-www-form-urlencoded' });
    for (const body of ['', 'token=', 'token=a&token=b&password=longenough1&password-repeated=longenough1', 'token[x]=b&password=longenough1', 'token=%00%0d%0a&password=longenough1&password-repeated=longenough1', 'token=%ff%fe&password=longenough1&password-repeated=longenough1', `token=${'a'.repeat(64)}&password=longenough1&password-repeated=different11`]) {
      const answer = await form(body);
      assert.equal(answer.status, 400, body);
      assert.match(answer.headers.get('content-type'), /^text\/html/);
      assert.doesNotMatch(answer.text, /<script/i);
    }
    const foreign = await server.client.send('POST', '/reset-password', 'email=ann%40example.org', { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://evil.example' });
    assert.equal(foreign.status, 403);
  });

  test('a redirect that nobody allowed is not followed', async () => {
    for (const target of ['https://evil.example/', 'javascript:alert(1)', '//evil.example', '/\\evil.example', 'data:text/html,x']) {
      const page = await server.client.send('GET', `/reset-password?token=${'a'.repeat(64)}&redirectUrl=${encodeURIComponent(target)}`);
      assert.equal(page.status, 200);
      assert.ok(!page.text.includes('evil.example') && !page.text.includes('javascript:'), target);
      const body = new URLSearchParams({ token: 'a'.repeat(64), password: PASSWORD, 'password-repeated': PASSWORD, 'redirect-url': target });
      const posted = await server.client.send('POST', '/reset-password', body.toString(), { 'content-type': 'application/x-www-form-urlencoded' });
      assert.equal(posted.status, 400, target);
      assert.equal(posted.headers.get('location'), null);
    }
  });
});

test('forged Host and X-Forwarded headers reach neither the link nor the text of a mail', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  const server = await installation.serve();
  await server.client.register('ann@example.org', PASSWORD);
  await relay.mail('ann@example.org');
  const forged = {
    ...JSON_TYPE,
    Host: 'evil.example',
    'X-Forwarded-Host': 'evil.example',
    'X-Forwarded-Proto': 'gopher',
    'X-Forwarded-For': '203.0.113.77, <b>evil.example</b>',
    Forwarded: 'for=203.0.113.77;host=evil.example',
    'User-Agent': 'http://evil.example/ <a href="http://evil.example">click</a>',
  };
  const body = JSON.stringify({ provider_id: 'ann@example.org', data: { action: 'reset_password' } });
  const answer = await rawExchange(server.port, rawRequest('POST', UPDATE, body, forged));
  assert.equal(statusOf(answer), 200);
  const raw = (await relay.mail('ann@example.org', { count: 2 })).raw;
  const mail = await parseMail(raw);
  assert.ok(onlyLink(mail.text).startsWith(`${server.url}/reset-password?token=`));
  assert.doesNotMatch(mail.text + mail.html, /evil\.example|203\.0\.113|gopher/);
});

test('%TOKEN% as a name is a name, and nothing is put in its place', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  const server = await installation.serve();
  for (const name of ['%TOKEN%', '%BASE_URL%/%TOKEN%']) {
    const answer = await server.client.register(name, PASSWORD);
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await server.client.signIn(name, PASSWORD)).status, 200);
    assert.equal((await server.client.askForReset(name)).status, 200);
    assert.doesNotMatch(answer.text, /[0-9a-f]{64}/);
  }
  assert.equal((await server.client.register('%TOKEN%@example.org', PASSWORD)).status, 200);
  const mail = await parseMail((await relay.mail('%TOKEN%@example.org')).raw);
  assert.equal(mail.text.match(/[0-9a-f]{64}/g).length, 1, 'one token, in the link');
  assert.equal(relay.mails.length, 1, 'names that are no addresses get no mail');
});
