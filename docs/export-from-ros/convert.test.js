'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const test = require('node:test');

const { convert } = require('./convert');

const ID = '9f83a5c2d1e04b7796aa10c3de58f201';

function user(more) {
  return {
    userId: ID, isAdmin: false, accounts: [{ provider: 'password', providerId: 'ann@example.org' }], metadata: [], ...more,
  };
}

/** As the server made it, but for the rounds. */
function record(password, more) {
  const salt = crypto.randomBytes(32);
  const hash = crypto.pbkdf2Sync(password, salt, 10, 512, 'sha512');
  return {
    userId: ID, salt: salt.toString('base64'), iterations: 10, keyLength: 512, digest: 'sha512', hash: hash.toString('base64'),
    isEmailConfirmed: null, ...more,
  };
}

function account(from, password) {
  const converted = convert(from, password);
  assert.equal(converted.kind, 'account', converted.reason);
  return converted.account;
}

function refused(from, password = null) {
  const converted = convert(from, password);
  assert.equal(converted.kind, 'refused');
  return converted.reason;
}

test('an account becomes the line that the import describes', () => {
  const stored = record('secret', { isEmailConfirmed: true });
  const metadata = [{ key: 'isEmailConfirmed', value: 'true' }, { key: 'plan', value: 'gold' }];
  const { salt, iterations, keyLength, digest, hash } = stored;
  assert.equal(
    JSON.stringify(account(user({ metadata }), stored)),
    JSON.stringify({
      user_id: ID, provider: 'password', provider_id: 'ann@example.org', is_admin: false, is_disabled: false, isEmailConfirmed: true,
      metadata: { plan: 'gold' }, password: { salt, iterations, keyLength, digest, hash },
    }),
  );
  assert.deepEqual(convert(user({ metadata }), stored).notes, []);
});

test('what is confirmed stands with the password, and in the metadata only where there is none', () => {
  const yes = [{ key: 'isEmailConfirmed', value: 'true' }];
  const no = [{ key: 'isEmailConfirmed', value: 'false' }];
  for (const [stored, metadata, confirmed] of [
    [record('x', { isEmailConfirmed: true }), no, true],
    [record('x', { isEmailConfirmed: false }), yes, false],
    [record('x', { isEmailConfirmed: null }), yes, false],
    [null, yes, true],
    [null, no, false],
    [null, [], false],
  ]) {
    assert.equal(account(user({ metadata }), stored).isEmailConfirmed, confirmed);
  }
});

test('salt and hash are read as leniently as the server read them', () => {
  const stored = record('x');
  const url = (text) => text.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const lenient = { ...stored, salt: url(stored.salt), hash: url(stored.hash), digest: 'SHA512' };
  assert.deepEqual(account(user(), lenient).password, account(user(), stored).password);
});

test('a record that no password fits is left out, and the account is not', () => {
  const stored = record('x');
  for (const broken of [
    { hash: stored.hash.slice(4) }, { hash: '', keyLength: 0 }, { iterations: 0 }, { digest: '' }, { keyLength: 64 },
  ]) {
    const converted = convert(user(), { ...stored, ...broken });
    assert.equal(converted.account.password, undefined);
    assert.match(converted.notes[0], /no password fits/);
  }
  const without = convert(user(), null);
  assert.equal(without.account.password, undefined);
  assert.match(without.notes[0], /has no password/);
});

test('an administrator with the empty password comes without one', () => {
  const converted = convert(user({ isAdmin: true }), record(''));
  assert.equal(converted.account.is_admin, true);
  assert.equal(converted.account.password, undefined);
  assert.match(converted.notes[0], /empty password/);
  assert.ok(account(user({ isAdmin: true }), record('not empty')).password);
  assert.ok(account(user(), record('')).password);
});

test('an account that an administrator made elsewhere keeps its provider', () => {
  const accounts = [{ provider: 'realm', providerId: 'job-7' }];
  const made = convert(user({ accounts }), null);
  assert.equal(made.account.provider, 'realm');
  assert.equal(made.account.provider_id, 'job-7');
  assert.deepEqual(made.notes, []);
});

test('other ways to sign in are left behind and told', () => {
  const facebook = { provider: 'facebook', providerId: '77' };
  const both = convert(user({ accounts: [facebook, { provider: 'password', providerId: 'ann@example.org' }] }), record('x'));
  assert.equal(both.account.provider_id, 'ann@example.org');
  assert.match(both.notes[0], /facebook/);
  assert.match(refused(user({ accounts: [facebook] })), /signs in with facebook only/);
  assert.match(refused(user({ accounts: [] })), /no name/);
});

test('two names for one account are for a person to decide', () => {
  const accounts = ['a@example.org', 'b@example.org'].map((providerId) => ({ provider: 'password', providerId }));
  assert.match(refused(user({ accounts }), record('x')), /2 names/);
});

test('names that Regain does not take are told', () => {
  for (const [providerId, reason] of [['', /empty/], ['a\nb', /control/], ['\u0085', /control/], ['ä'.repeat(128), /254 bytes/]]) {
    assert.match(refused(user({ accounts: [{ provider: 'password', providerId }] })), reason);
  }
  assert.equal(account(user({ accounts: [{ provider: 'password', providerId: 'ä'.repeat(127) }] }), null).provider_id.length, 127);
});

test('the account of the admin token is skipped', () => {
  assert.deepEqual(convert(user({ userId: '__admin', accounts: [{ provider: 'realm', providerId: '__admin' }] }), null), { kind: 'skipped' });
});

test('a suspended account is disabled, and an unknown status is told', () => {
  assert.equal(account(user({ status: 'suspended' }), null).is_disabled, true);
  assert.equal(account(user({ status: 'active' }), null).is_disabled, false);
  assert.equal(account(user({ status: null }), null).is_disabled, false);
  const odd = convert(user({ status: 0 }), record('x'));
  assert.equal(odd.account.is_disabled, false);
  assert.match(odd.notes[0], /status/);
});

test('a key of metadata is a key, whatever it is called', () => {
  const metadata = [{ key: '__proto__', value: 'a' }, { key: 'constructor', value: 'b' }];
  assert.match(JSON.stringify(account(user({ metadata }), null)), /"metadata":\{"__proto__":"a","constructor":"b"\}/);
  const twice = [{ key: 'plan', value: 'gold' }, { key: 'plan', value: 'tin' }];
  assert.match(refused(user({ metadata: twice })), /two values/);
});
