// Owns several processes over one database in PostgreSQL, as behind a load balancer: each has a port and a data path of its
// own, all have the same keys and put the same address into links.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Client } from './client.mjs';
import { temporaryDirectory } from './place.mjs';
import { Postgres } from './postgres.mjs';
import { Installation } from './regain.mjs';

let keys;

/** A directory with keys, the same ones in all of a test file: an RSA key takes its time. */
async function commonKeys() {
  keys ??= (async () => {
    const directory = join(await temporaryDirectory(), 'keys');
    await mkdir(directory, { mode: 0o700 });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const write = (name, text) => writeFile(join(directory, name), text, { mode: 0o600 });
    await write('auth.key', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await write('token.key', `${randomBytes(32).toString('hex')}\n`);
    return directory;
  })();
  return keys;
}

/**
 * Makes `count` installations over one database, the URL of which is in `database` of each; none is started. `through` are
 * the ports on which they reach PostgreSQL, where that is not its own (line.mjs). `relay` may be a list, with one for each.
 * The rest is as for `Installation.make`.
 */
export async function makeProcesses(t, count, { postgres, database, through = [], relay, mail = {}, settings = {} } = {}) {
  postgres ??= await Postgres.shared();
  database ??= await postgres.database();
  const all = [];
  for (let i = 0; i < count; i += 1) {
    // Links name the first one, as they would name what balances the load.
    const publicUrl = all[0]?.url;
    const url = new URL(database);
    if (through[i]) url.port = String(through[i]);
    const installation = await Installation.make(t, {
      relay: Array.isArray(relay) ? relay[i] : relay,
      mail: mail && { ...(publicUrl && { baseUrl: publicUrl }), ...mail },
      settings: { ...(publicUrl && { publicUrl }), ...settings },
      database: url.href,
    });
    // Tests look at it directly, whatever the process goes through.
    installation.database = database;
    await mkdir(installation.data, { recursive: true });
    await cp(await commonKeys(), join(installation.data, 'keys'), { recursive: true });
    all.push(installation);
  }
  return all;
}

/**
 * Asks for a reset for each of these names, each when the mail of the one before has come, and answers how many seconds that
 * took, the shortest first. A courier that is not told of letters, and finds them when it looks, takes all the time between
 * two looks for each but the first: five seconds.
 */
export async function fromRequestToMail(server, relay, all) {
  const times = [];
  for (const name of all) {
    const begun = performance.now();
    const { status } = await server.client.askForReset(name);
    if (status !== 200) throw new Error(`asking for a reset: ${status}`);
    await relay.mail(name);
    times.push((performance.now() - begun) / 1000);
  }
  return times.sort((a, b) => a - b);
}

/** The requests of one client to each of them in turn. */
export function inTurn(installations) {
  const clients = installations.map(({ url }) => new Client(url));
  let next = 0;
  return () => clients[next++ % clients.length];
}
