// Owns checking DKIM signatures with libraries that did not make them, dkimpy from PyPI and mailauth from npm, against
// records that a test holds instead of DNS.

import { execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { dkimVerify } from 'mailauth/lib/dkim/verify.js';

import { temporaryDirectory } from './place.mjs';

const PYTHON = process.env.E2E_DKIMPY ?? new URL('../../target/dkimpy/bin/python', import.meta.url).pathname;
const SCRIPT = new URL('../dkimpy/verify.py', import.meta.url).pathname;
const execute = promisify(execFile);

/** A private key as an operator makes one: `openssl` with these arguments, in a file of that name. */
export async function makeKey(file, command, ...args) {
  await execute('openssl', [command, '-out', file, ...args]);
  await execute('chmod', ['600', file]);
}

/**
 * What each library says of each signature of a mail: `{dkimpy, mailauth}`, lists of `{domain, selector, algorithm, ok}`
 * in the order of the header. `records` are `{name: value}`.
 */
export async function checkSignatures(raw, records) {
  // Mailboxes keep lines with LF; what was signed are lines with CRLF.
  const mail = Buffer.from(raw.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
  const [dkimpy, mailauth] = await Promise.all([askDkimpy(mail, records), askMailauth(mail, records)]);
  return { dkimpy, mailauth };
}

async function askDkimpy(mail, records) {
  const file = join(await temporaryDirectory(), 'records.json');
  await writeFile(file, JSON.stringify(records));
  const child = spawn(PYTHON, [SCRIPT, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stdin.end(mail);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`verify.py: exit ${code}`);
  return JSON.parse(out).map(({ why, ...said }) => said);
}

async function askMailauth(mail, records) {
  const resolver = async (name, type) => {
    if (type === 'TXT' && records[name]) return [records[name].match(/.{1,255}/g)];
    throw Object.assign(new Error(`no ${type} of ${name}`), { code: 'ENOTFOUND' });
  };
  const { results } = await dkimVerify(mail, { resolver });
  return results
    .filter(({ signingDomain }) => signingDomain)
    .map(({ signingDomain, selector, algo, status }) => ({
      domain: signingDomain,
      selector,
      algorithm: algo,
      ok: status.result === 'pass',
    }));
}
