// Backups as docs/operations.md says how to make them, and what comes of them on another machine: a link that was mailed
// before still works, a letter that waited goes out, and nobody gets more than one copy of a mail, the same to the byte.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { importAccounts, names } from './lib/accounts.mjs';
import { brokenInvariants, databaseOf } from './lib/database.mjs';
import { tokenIn } from './lib/mail.mjs';
import { Postgres } from './lib/postgres.mjs';
import { makeProcesses } from './lib/processes.mjs';
import { Installation, onPostgres } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { until } from './lib/wait.mjs';

const run = promisify(execFile);
const [ANN, BOB, CID, DAN] = names(4);
const NEW_PASSWORD = 'a better password';

/**
 * Ways to make a backup. `make` answers an installation on SQLite or PostgreSQL, `save` makes the backup beside a running
 * server and answers what `restore` needs to bring it back for another installation.
 */
const WAYS = {
  'with the .backup of SQLite, while it serves': sqlite((file, to) => run('sqlite3', [file, `.backup '${to}'`])),
  'with VACUUM INTO, while it serves': sqlite((file, to) => run('sqlite3', ['-cmd', '.timeout 20000', file, `VACUUM INTO '${to}'`])),
  'with pg_dump, while it serves': {
    make: async (t, relay) => (await makeProcesses(t, 1, { relay }))[0],
    async save(installation) {
      const dump = join(installation.directory, 'regain.dump');
      await run('pg_dump', ['--format=custom', '--schema=regain', '--file', dump, installation.database]);
      return dump;
    },
    async restore(t, settings, dump) {
      const another = await Postgres.start(t);
      const database = await another.database();
      await run('pg_restore', ['--no-owner', '--exit-on-error', '--single-transaction', '--dbname', database, dump]);
      return Installation.make(t, { ...settings, database });
    },
  },
};

function sqlite(copy) {
  return {
    isFile: true,
    make: (t, relay) => Installation.make(t, { relay }),
    async save(installation) {
      const saved = join(installation.directory, 'saved.db');
      await copy(databaseOf(installation.data), saved);
      return saved;
    },
    async restore(t, settings, saved) {
      const installation = await Installation.make(t, settings);
      await mkdir(installation.data, { mode: 0o700 });
      await cp(saved, databaseOf(installation.data));
      return installation;
    },
  };
}

describe('a backup', { concurrency: 3 }, () => {
  for (const [name, { isFile = false, make, save, restore }] of Object.entries(WAYS)) {
    test(name, { skip: isFile && onPostgres }, async (t) => {
      const relay = await ScriptedRelay.start(t);
      const installation = await make(t, relay.url);
      await importAccounts(installation, [ANN, BOB, CID, DAN]);
      const server = await installation.serve();
      const ask = async (name) => assert.equal((await server.client.askForReset(name)).status, 200);
      await ask(ANN);
      const link = tokenIn((await relay.mail(ANN)).raw);

      // Two letters wait when the backup is made: of one the mail goes out before the machine is lost.
      relay.script.mail = '451 4.3.2 later';
      await ask(BOB);
      await ask(CID);
      await until('the relay to be at rest', async () => (await server.client.send('GET', '/health')).body.status === 'degraded');
      const saved = await save(installation);
      const keys = join(installation.directory, 'saved-keys');
      await cp(join(installation.data, 'keys'), keys, { recursive: true });
      relay.script = { rcpt: (session) => (session.commands.at(-1).includes(CID) ? '451 4.2.1 later' : undefined) };
      await relay.mail(BOB, { ms: 60_000 });
      await ask(DAN);
      await relay.mail(DAN, { ms: 60_000 });
      assert.equal((await server.client.completeReset(link, 'a password that is lost')).status, 200);
      await server.kill();

      relay.behave();
      // The same configuration: links name the same address, whatever port this one has.
      const [publicUrl, baseUrl] = [installation.url, installation.url];
      const restored = await restore(t, { relay: relay.url, settings: { publicUrl }, mail: { baseUrl } }, saved);
      await mkdir(restored.data, { recursive: true, mode: 0o700 });
      await cp(keys, join(restored.data, 'keys'), { recursive: true });
      const again = await restored.serve();
      await relay.mail(CID, { ms: 60_000 });
      await relay.mail(BOB, { count: 2, ms: 60_000 });
      // That it was used since is not in the backup.
      assert.equal((await again.client.completeReset(link, NEW_PASSWORD)).status, 200);
      assert.equal((await again.client.signIn(ANN, NEW_PASSWORD)).status, 200);
      // Its letter is younger than the backup; the link names a token that nobody knows any more.
      const lost = tokenIn(relay.accepted(DAN)[0].raw);
      assert.equal((await again.client.completeReset(lost, NEW_PASSWORD)).status, 403);
      await until('nothing to wait', async () => (await restored.letters()).every(({ state }) => state !== 'waiting' && state !== 'claimed'), 60_000);
      const [first, second, ...more] = relay.accepted(BOB).map(({ raw }) => raw.toString());
      assert.ok(second === first, 'the copy is the same to the byte');
      assert.deepEqual(more, []);
      assert.equal(relay.accepted(CID).length, 1);
      assert.deepEqual(await brokenInvariants(restored.database), {});
    });
  }
});

test('a copy of the data path of a server that was stopped is all there is to it', { skip: onPostgres }, async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: relay.url });
  await importAccounts(installation, [ANN]);
  const server = await installation.serve();
  assert.equal((await server.client.askForReset(ANN)).status, 200);
  const link = tokenIn((await relay.mail(ANN)).raw);
  await server.stop();

  const restored = await Installation.make(t, { relay: relay.url });
  await cp(installation.data, restored.data, { recursive: true });
  const again = await restored.serve();
  assert.equal((await again.client.completeReset(link, NEW_PASSWORD)).status, 200);
  assert.deepEqual(await brokenInvariants(restored.database), {});
});
