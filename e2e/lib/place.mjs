// Owns what a test needs of the machine: a directory of its own and free ports. Leaves nothing behind.

import { randomInt } from 'node:crypto';
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

/**
 * A port of the loopback address that nobody listens on. It lies below the ports that systems hand out by themselves,
 * so that no connection takes it before the server under test does.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = net.createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
