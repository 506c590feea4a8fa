// The API against its own description: schemathesis makes requests out of /openapi.json, right and wrong ones, and
// holds the answers against it. What it asks, and what it does not: schemathesis/schemathesis.toml.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { temporaryDirectory } from './lib/place.mjs';
import { dev } from './lib/regain.mjs';
import { within } from './lib/wait.mjs';

const SCHEMATHESIS = process.env.E2E_SCHEMATHESIS ?? new URL('../target/schemathesis/bin/schemathesis', import.meta.url).pathname;
const CONFIG = new URL('schemathesis/schemathesis.toml', import.meta.url).pathname;

/** Holds a server against its document. Fails where anything was found, or where less was looked at than there is. */
async function holds(server, args = []) {
  const directory = await temporaryDirectory();
  // From a file: what is fetched from the server itself is not asked for again in the tests.
  const file = join(directory, 'openapi.json');
  const { text, body } = await server.client.send('GET', '/openapi.json');
  await writeFile(file, text);
  const child = spawn(SCHEMATHESIS, ['--config-file', CONFIG, 'run', '--url', server.url, ...args, file], {
    cwd: directory,
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
    assert.equal(await within(1_200_000, 'end of schemathesis', ended), 0, output);
  } finally {
    child.kill('SIGKILL');
  }
  const operations = Object.values(body.paths).flatMap((item) => Object.keys(item));
  assert.match(output, new RegExp(`Tested: ${operations.length}\\n`), output);
  assert.doesNotMatch(server.output, /panicked|request_failed/);
}

test('without a session every answer is as the document says', async (t) => {
  await holds(await dev(t));
});

test("with the administrator's token every answer is as the document says", async (t) => {
  const server = await dev(t);
  const { ADMIN_TOKEN: token } = JSON.parse(await readFile(join(server.data, 'keys', 'admin.json'), 'utf8'));
  await holds(server, ['--header', `Authorization: ${token}`]);
  assert.equal((await server.client.send('GET', '/auth/users/__admin', undefined, { authorization: token })).status, 200);
});
