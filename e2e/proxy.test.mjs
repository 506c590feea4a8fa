// Two equal processes behind nginx and behind HAProxy, with the examples of contrib/: who asks is known and cannot be
// feigned, either process may go, and no link stands in a log.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { importAccounts, names } from './lib/accounts.mjs';
import { Balancer } from './lib/balancer.mjs';
import { makeProcesses } from './lib/processes.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { parseMail } from './lib/mail.mjs';
import { until } from './lib/wait.mjs';

const [ANN, BOB, CID] = names(3);
/** A client whose address is not the proxy's. */
const CLIENT = '127.0.0.2';
const FEIGNED = '203.0.113.9';

for (const program of ['nginx', 'haproxy']) {
  describe(`behind ${program}`, () => {
    test('the client is who connects to the proxy, whatever it says of itself', async (t) => {
      const { balancer, relay } = await start(t);
      const from = { from: CLIENT, headers: { 'X-Forwarded-For': FEIGNED } };
      assert.equal((await ask(balancer, ANN, from)).status, 200);
      const { text } = await parseMail((await relay.mail(ANN)).raw);
      assert.ok(text.includes(CLIENT), text);
      assert.ok(!text.includes(FEIGNED), text);
    });

    test('either process may be stopped: requests go to the other, and back to it when it is there again', async (t) => {
      const { balancer, processes, servers } = await start(t);
      for (const gone of [0, 1]) {
        await servers[gone].stop();
        for (let i = 0; i < 6; i += 1) assert.equal((await balancer.send('GET', '/health')).status, 200);
        assert.equal((await ask(balancer, [BOB, CID][gone])).status, 200);
        servers[gone] = await processes[gone].serve();
        await balancer.sends(gone);
      }
    });

    test('a client that asks too often is refused, whatever it says of itself, and others are not', async (t) => {
      const { balancer } = await start(t);
      const statuses = await Promise.all(Array.from({ length: 150 }, (_, i) => {
        const headers = { 'X-Forwarded-For': `203.0.113.${i}` };
        return balancer.send('GET', '/health', undefined, { from: CLIENT, headers }).then(({ status }) => status);
      }));
      assert.deepEqual([...new Set(statuses)].sort(), [200, 429]);
      assert.equal((await balancer.send('GET', '/health')).status, 200);
    });

    test('without any process the answer is 502 or 503, soon', async (t) => {
      const { balancer, servers } = await start(t);
      await Promise.all(servers.map((server) => server.stop()));
      const begun = performance.now();
      const { status } = await balancer.send('GET', '/health');
      assert.ok([502, 503].includes(status), String(status));
      assert.ok(performance.now() - begun < 12_000);
    });

    test('what Regain answers comes through, and no token is in the log', async (t) => {
      const { balancer } = await start(t);
      const token = 'ab'.repeat(32);
      const page = await balancer.send('GET', `/reset-password?token=${token}`);
      assert.match(page.headers['content-security-policy'], /default-src 'none'/);
      const large = await balancer.send('POST', '/auth', { provider: 'password', data: 'x'.repeat(110_000) });
      assert.equal(large.status, 413);
      await until('the requests in the log', async () => /reset-password/.test(await balancer.log()));
      assert.ok(!(await balancer.log()).includes(token));
    });
  });

  async function start(t) {
    const relay = await ScriptedRelay.start(t);
    const settings = { trustedProxies: ['127.0.0.1'] };
    const processes = await makeProcesses(t, 2, { relay: relay.url, settings });
    await importAccounts(processes[0], [ANN, BOB, CID]);
    const servers = await Promise.all(processes.map((each) => each.serve()));
    return { relay, processes, servers, balancer: await Balancer.start(t, program, processes) };
  }
}

function ask(balancer, name, options) {
  return balancer.send('POST', '/auth/password/updateAccount', { provider_id: name, data: { action: 'reset_password' } }, options);
}
