// A pooler before PostgreSQL: PgBouncer does no harm where it lends whole sessions, and is refused where it does not.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { importAccounts, inParallel, names, PASSWORD } from './lib/accounts.mjs';
import { sql, value } from './lib/database.mjs';
import { tokenIn } from './lib/mail.mjs';
import { PgBouncer } from './lib/pgbouncer.mjs';
import { execute, Postgres } from './lib/postgres.mjs';
import { fromRequestToMail, makeProcesses } from './lib/processes.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { until } from './lib/wait.mjs';

const through = (postgres, pooler, database) => postgres.url(new URL(database).pathname.slice(1), { port: pooler.port });
const kept = (asking) => asking.then(({ status }) => assert.equal(status, 200));

test('through one that lends whole sessions everything works, and goes on when it was restarted', async (t) => {
  const postgres = await Postgres.shared();
  const pooler = await PgBouncer.start(t, postgres, { pool_mode: 'session', default_pool_size: 30 });
  const relay = await ScriptedRelay.start(t);
  const [front, behind] = await makeProcesses(t, 2, { postgres, relay: relay.url, through: [pooler.port, pooler.port] });
  const { database } = front;
  const all = names(210);
  await importAccounts(front, all);
  const server = await front.serve({ args: ['--no-courier'] });
  const courier = await behind.courier();
  await inParallel(all.slice(10), 32, (name) => kept(server.client.askForReset(name)));
  await until('an empty outbox', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 0);
  assert.equal(relay.mails.length, 200);
  assert.deepEqual(await sql(database, 'SELECT state, attempts, count(*) AS n FROM letters GROUP BY 1, 2'), [{ state: 'sent', attempts: 1, n: 200 }]);

  // The courier is told, rather than finding out when it looks.
  const times = await fromRequestToMail(server, relay, all.slice(0, 7));
  assert.ok(times[3] < 2.5, `${times}`);
  for (const name of all.slice(0, 2)) await kept(server.client.completeReset(tokenIn((await relay.mail(name)).raw), 'second password'));

  await pooler.kill();
  assert.equal((await server.client.askForReset(all[9])).status, 503);
  await pooler.start();
  await until('both to listen again', () => [server, courier].every(({ output }) => output.includes('database_listener_back')));
  await until('the server to serve', async () => (await server.client.signIn(all[0], 'second password')).status === 200);
  await kept(server.client.askForReset(all[9]));
  await relay.mail(all[9]);
  for (const each of [server, courier]) assert.equal((await each.stop()).code, 0);

  // Sessions go back as they were: the next one that is lent them may be somebody else.
  assert.equal(await execute(through(postgres, pooler, database), 'SHOW search_path'), '"$user", public\n');
});

describe('one that lends another session to each transaction is refused, and nothing is made through it', () => {
  const busy = 'where it has several free sessions';
  for (const [what, settings, sessions] of [
    ['at once', { pool_mode: 'transaction' }, 0],
    [busy, { pool_mode: 'transaction' }, 3],
    [`${busy} and lends them in turn`, { pool_mode: 'transaction', server_round_robin: 1 }, 3],
    ['also where it has no transactions', { pool_mode: 'statement' }, 0],
  ]) {
    test(what, async (t) => {
      const postgres = await Postgres.shared();
      const pooler = await PgBouncer.start(t, postgres, settings);
      const [one] = await makeProcesses(t, 1, { postgres, mail: null, through: [pooler.port] });
      // All at the same time, so that each has one of its own.
      const together = `DO $$ BEGIN LOOP
          PERFORM pg_stat_clear_snapshot();
          EXIT WHEN (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %together%' AND datname = current_database()) >= ${sessions};
          PERFORM pg_sleep(0.02);
        END LOOP;
        PERFORM pg_sleep(0.5); -- So that the others see it together.
      END $$`;
      await Promise.all(Array.from({ length: sessions }, () => execute(through(postgres, pooler, one.database), together)));
      for (const command of ['serve', 'migrate', 'check']) {
        const { code, stdout, stderr } = await one.run([command, '--config', one.file]);
        assert.equal(code, 1, command);
        assert.match(stdout + stderr, /pooler that lends another session to each transaction.*pool_mode = session/, command);
      }
      assert.equal(await value(one.database, `SELECT count(*) FROM pg_class WHERE relname = 'migrations'`), 0);
    });
  }
});
