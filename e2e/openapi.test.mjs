// The API against its own description: schemathesis makes requests out of /openapi.json, right and wrong ones, and
// holds the answers against it. What it asks, and what it does not: schemathesis/schemathesis.toml.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { temporaryDirectory } from './lib/place.mjs';
import { dev } from './lib/regain.mjs';
import { within } from './lib/wait.mjs';

const SCHEMATHESIS = process.env.E2E_SCHEMATHESIS ?? new URL('../target/schemathesis/bin/schemathesis', import.meta.url).pathname;
const CONFIG = new URL('schemathesis/schemathesis.toml', import.meta.url).pathname;

/** Runs it to its end, in a directory that it may write to. */
async function schemathesis(args) {
  const child = spawn(SCHEMATHESIS, ['--config-file', CONFIG, 'run', ...args], {
    cwd: await temporaryDirectory(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (bytes) => (output += bytes));
  child.stderr.on('data', (bytes) => (output += bytes));
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  try {
    return { code: await within(300_000, 'end of schemathesis', ended), output };
  } finally {
    child.kill('SIGKILL');
  }
}

/** Fails where anything was found, or where less was looked at than there is. */
async function holds(server, args) {
  const { code, output } = await schemathesis([...args, `${server.url}/openapi.json`]);
  assert.equal(code, 0, output);
  const { paths } = (await server.client.send('GET', '/openapi.json')).body;
  const operations = Object.values(paths).flatMap((item) => Object.keys(item)).length;
  assert.match(output, new RegExp(`${operations} tested`), output);
  assert.doesNotMatch(server.output, /panicked|request_failed/);
}

test('without a session every answer is as the document says', async (t) => {
  await holds(await dev(t), []);
});

test("with the administrator's token every answer is as the document says", async (t) => {
  const server = await dev(t);
  const { ADMIN_TOKEN: token } = JSON.parse(await readFile(join(server.data, 'keys', 'admin.json'), 'utf8'));
  await holds(server, ['--header', `Authorization: ${token}`]);
  assert.equal((await server.client.send('GET', '/auth/users/__admin', undefined, { authorization: token })).status, 200);
});
