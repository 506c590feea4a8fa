// Owns what a test needs of the machine: a directory of its own and free ports. Leaves nothing behind.

import { rmSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directories = [];
process.once('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

/**
 * A directory that lives as long as this test file, since programs that write into it are ended after their test.
 * Others may look into it: Postfix works as a user of its own.
 */
export async function temporaryDirectory() {
  const directory = await mkdtemp(join(tmpdir(), 'regain-e2e-'));
  await chmod(directory, 0o755);
  directories.push(directory);
  return directory;
}

/** A port of the loopback address that nobody listens on. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
