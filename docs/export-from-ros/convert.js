// Turns the records of a Realm Object Server 3.x into the lines that `regain users import` reads.
//
// It reads objects as realm-js gives them and computes; it opens no file and no connection. In the syntax of Node 8, since
// that is what such a server runs on.

'use strict';

const crypto = require('crypto');

/** The account that stands for the server's admin token. It has no password, and Regain needs none like it. */
const ADMIN_TOKEN_ACCOUNT = '__admin';

/** The metadata entry that Regain keeps as a property of the account. */
const CONFIRMED = 'isEmailConfirmed';

/** Regain takes no longer names. */
const MAX_NAME_BYTES = 254;

/**
 * Writes every account that can be converted, in the order of the server, by `write(line)`.
 *
 * @param admin the realm `/__admin` @param password the realm `/__password`
 * @returns how many there were of what, and whom it left out (`refused`) or changed (`notes`), by user id and without names
 */
function exportAccounts(admin, password, write) {
  const report = {
    users: 0, exported: 0, withoutPassword: 0, admins: 0, skipped: 0, orphans: 0, caseOnly: 0, refused: [], notes: [],
  };
  const users = objects(admin, 'User');
  const records = objects(password, 'PasswordSaltHash');
  const names = countNames(users);
  let used = 0;
  for (let at = 0; at < users.length; at += 1) {
    const user = users[at];
    const record = records.length > 0 ? password.objectForPrimaryKey('PasswordSaltHash', user.userId) || null : null;
    if (record !== null) used += 1;
    report.users += 1;
    const converted = convert(user, record);
    if (converted.kind === 'skipped') {
      report.skipped += 1;
      continue;
    }
    const refusal = converted.kind === 'refused' ? converted.reason : sharedName(converted.account, names);
    if (refusal) {
      report.refused.push({ userId: user.userId, reason: refusal });
      continue;
    }
    for (const note of converted.notes) report.notes.push({ userId: user.userId, note });
    report.exported += 1;
    if (!converted.account.password) report.withoutPassword += 1;
    if (converted.account.is_admin) report.admins += 1;
    if (converted.account.provider === 'password' && names.folded.get(fold(converted.account.provider_id)) > 1) {
      report.caseOnly += 1;
    }
    write(JSON.stringify(converted.account));
  }
  report.orphans = records.length - used;
  return report;
}

/**
 * Converts one user with its password record, or `null` where there is none.
 *
 * @returns `{kind: 'account', account, notes}`, `{kind: 'skipped'}` or `{kind: 'refused', reason}`
 */
function convert(user, record) {
  if (user.userId === ADMIN_TOKEN_ACCOUNT) return { kind: 'skipped' };
  const chosen = chooseName(user);
  if (chosen.reason) return { kind: 'refused', reason: chosen.reason };
  const metadata = readMetadata(user);
  if (metadata.reason) return { kind: 'refused', reason: metadata.reason };

  const notes = chosen.notes;
  const isDisabled = isSuspended(user, notes);
  const account = {
    user_id: user.userId,
    provider: chosen.provider,
    provider_id: chosen.name,
    is_admin: user.isAdmin === true,
    is_disabled: isDisabled,
    // On signing in the server wrote what stands with the password over what stood in the metadata.
    isEmailConfirmed: record === null ? metadata.confirmed : record.isEmailConfirmed === true,
    metadata: metadata.entries,
  };
  const hash = chosen.provider === 'password' ? readPassword(user, record, notes) : null;
  if (hash !== null) account.password = hash;
  return { kind: 'account', account, notes };
}

/** The one name that the account has here: that of the password provider, or, without one, that of an administrator's making. */
function chooseName(user) {
  const ofPassword = [];
  const ofRealm = [];
  const others = [];
  for (let at = 0; at < user.accounts.length; at += 1) {
    const { provider, providerId } = user.accounts[at];
    if (provider === 'password') ofPassword.push(providerId);
    else if (provider === 'realm') ofRealm.push(providerId);
    else others.push(String(provider));
  }
  const provider = ofPassword.length > 0 ? 'password' : 'realm';
  const names = ofPassword.length > 0 ? ofPassword : ofRealm;
  if (names.length === 0) {
    const ways = others.length > 0 ? `signs in with ${others.join(', ')} only` : 'has no name in any provider';
    return { reason: `${ways}; Regain has the provider password` };
  }
  if (names.length > 1) return { reason: `has ${names.length} names in the provider ${provider}, and Regain keeps one` };
  const name = names[0];
  if (typeof name !== 'string' || name === '') return { reason: 'has an empty name' };
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return { reason: `has a name of more than ${MAX_NAME_BYTES} bytes` };
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return { reason: 'has a control character in its name' };
  const left = provider === 'password' ? others.concat(ofRealm.map(() => 'realm')) : others;
  const notes = left.length > 0 ? [`could sign in with ${left.join(', ')} as well and will not any more`] : [];
  return { provider, name, notes };
}

/** The entries but the one that is a property of its own; a key that stands there twice with two values tells nothing. */
function readMetadata(user) {
  // Without a prototype, so that a key such as `__proto__` is a key.
  const entries = Object.create(null);
  const rows = user.metadata || [];
  for (let at = 0; at < rows.length; at += 1) {
    const { key, value } = rows[at];
    if (typeof key !== 'string' || typeof value !== 'string') return { reason: 'has metadata that is no text' };
    if (key in entries && entries[key] !== value) return { reason: 'has two values for one key of its metadata' };
    entries[key] = value;
  }
  const confirmed = entries[CONFIRMED] === 'true';
  delete entries[CONFIRMED];
  return { entries, confirmed };
}

/** Servers from 3.16 on could suspend a user; where nothing says so, nobody is. */
function isSuspended(user, notes) {
  const { status } = user;
  if (status === undefined || status === null || status === 'active') return false;
  if (typeof status === 'string' && status.toLowerCase() === 'suspended') return true;
  notes.push('has a status that is neither active nor suspended; exported as active');
  return false;
}

/** The hash as the server checked it: salt and hash were read as leniently as Node reads base64. */
function readPassword(user, record, notes) {
  if (record === null) {
    notes.push('has no password; it is to be reset or set');
    return null;
  }
  const salt = Buffer.from(String(record.salt), 'base64');
  const hash = Buffer.from(String(record.hash), 'base64');
  const { iterations, keyLength } = record;
  const isUsable = Number.isInteger(iterations) && iterations > 0 && hash.length > 0 && hash.length === keyLength;
  if (!isUsable || typeof record.digest !== 'string' || record.digest === '') {
    notes.push('has a password record that no password fits; exported without a password');
    return null;
  }
  const digest = record.digest.toLowerCase();
  if (user.isAdmin === true && isOfNothing(salt, hash, iterations, digest)) {
    notes.push('is an administrator with the empty password; exported without a password');
    return null;
  }
  return { salt: salt.toString('base64'), iterations, keyLength, digest, hash: hash.toString('base64') };
}

/** Whether it is the hash of the empty password, which `autoCreateAdminUser` gave where it was told none. */
function isOfNothing(salt, hash, iterations, digest) {
  try {
    return crypto.timingSafeEqual(crypto.pbkdf2Sync('', salt, iterations, hash.length, digest), hash);
  } catch (error) {
    // A digest that this Node does not know: then nor could the server check it.
    return false;
  }
}

/** How often each name occurs, as it is and whatever its case. */
function countNames(users) {
  const exact = new Map();
  const folded = new Map();
  for (let at = 0; at < users.length; at += 1) {
    const { accounts } = users[at];
    for (let of = 0; of < accounts.length; of += 1) {
      const { provider, providerId } = accounts[of];
      if (provider === 'password' || provider === 'realm') count(exact, `${provider}:${providerId}`);
      if (provider === 'password') count(folded, fold(providerId));
    }
  }
  return { exact, folded };
}

function count(map, key) {
  map.set(key, (map.get(key) || 0) + 1);
}

function fold(name) {
  return String(name).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function sharedName(account, names) {
  const times = names.exact.get(`${account.provider}:${account.provider_id}`);
  return times > 1 ? `shares its name with ${times - 1} more; keep one of them` : null;
}

/** All objects of a class; none where the realm does not know it. */
function objects(realm, name) {
  return realm.schema.some((known) => known.name === name) ? realm.objects(name) : [];
}

module.exports = { convert, exportAccounts };
