// `kill -9` of a random process at random moments, under load: on SQLite one process, on PostgreSQL two. What was answered is
// kept, a copy is byte-identical and has a kill as its reason, and of two who race for a token one wins. Twenty kills of
// each; `./test nightly` plays two hundred.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, test } from 'node:test';

import { importAccounts, inParallel, names, PASSWORD } from './lib/accounts.mjs';
import { Client } from './lib/client.mjs';
import { brokenInvariants, sql, value } from './lib/database.mjs';
import { Promises, Received, outcomeOf } from './lib/ledger.mjs';
import { tokenIn } from './lib/mail.mjs';
import { makeProcesses } from './lib/processes.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const KILLS = Number(process.env.E2E_KILLS ?? 20);

const pick = (all) => all[randomInt(all.length)];

/** Kills and restarts processes. */
class Killer {
  constructor(installations, servers) {
    Object.assign(this, { installations, servers, kills: [] });
  }

  /** `goesOn` waits until so many kills have something to take away. */
  async play(count, goesOn) {
    for (let i = 0; i < count; i += 1) {
      await pause(randomInt(100, 1500));
      await goesOn(i + 1);
      const which = randomInt(this.servers.length);
      const from = performance.now();
      await this.servers[which].kill();
      this.kills.push({ which, from, to: performance.now() });
      await pause(randomInt(0, 300));
      this.servers[which] = await this.installations[which].serve();
    }
  }

  /** How many there were between two moments. */
  between(first, last) {
    return this.kills.filter(({ from, to }) => to >= first && from <= last).length;
  }
}

const KINDS = {
  'one process on SQLite': async (t, relay) => [await Installation.make(t, { relay: relay.url })],
  'either of two processes on PostgreSQL': (t, relay) => makeProcesses(t, 2, { relay: relay.url }),
};

describe('kill -9', { concurrency: true }, () => {
  for (const [who, make] of Object.entries(KINDS)) {
    test(`${KILLS} kills of ${who} under load lose nothing that was answered`, async (t) => {
      const relay = await ScriptedRelay.start(t);
      const installations = await make(t, relay);
      const { database } = installations[0];
      const clients = installations.map(({ url }) => new Client(url));
      const forReset = names(KILLS * 150, 'reset');
      await importAccounts(installations[0], forReset);
      const left = { reset: [...forReset], register: names(KILLS * 50, 'new') };
      const received = new Received(relay);
      // The relay takes a moment, so that kills fall between a mail and its answer.
      received.dot = async () => {
        await pause(randomInt(0, 80));
      };
      const promises = new Promises();
      const killer = new Killer(installations, await Promise.all(installations.map((one) => one.serve())));

      let isOver = false;
      // Names whose link was taken up, with the tries to use it: {password, outcome}.
      const races = new Map();
      const confirmed = new Map();
      /** Asks any of the processes, another one where that does not listen, as what balances load does. */
      const anywhere = async (send) => {
        for (;;) {
          const outcome = await outcomeOf(send(pick(clients)));
          if (outcome !== 'unsent' || isOver) return outcome;
          await pause(20);
        }
      };
      const newMail = (path, taken) =>
        pick([...received.byName].filter(([name, [mail]]) => !taken.has(name) && mail.raw.includes(path)).map(([name]) => name).concat(undefined));
      const work = {
        reset: async () => {
          const name = left.reset.shift();
          if (name) await promises.ask(name, 'reset', () => pick(clients).askForReset(name), () => isOver);
        },
        register: async () => {
          const name = left.register.shift();
          if (name) await promises.ask(name, 'register', () => pick(clients).register(name, PASSWORD), () => isOver);
        },
        confirm: async () => {
          const name = newMail('confirm-email', confirmed);
          if (!name) return;
          confirmed.set(name, 'unknown');
          const token = tokenIn(received.to(name)[0].raw);
          confirmed.set(name, await anywhere((client) => client.confirm(token)));
        },
        race: async () => {
          const name = newMail('reset-password', races);
          if (!name) return;
          const tries = ['first', 'second', 'third'].map((which) => ({ password: `the ${which} new password`, outcome: 'unknown' }));
          races.set(name, tries);
          const token = tokenIn(received.to(name)[0].raw);
          await Promise.all(tries.map(async (one) => {
            one.outcome = await anywhere((client) => client.completeReset(token, one.password));
          }));
        },
      };
      const load = Array.from({ length: 6 }, async () => {
        while (!isOver) {
          const dice = randomInt(100);
          await work[dice < 75 ? 'reset' : dice < 83 ? 'register' : dice < 92 ? 'confirm' : 'race']();
          await pause(randomInt(5, 60));
        }
      });
      const kept = (kind) => promises.names(kind, 'kept').length;
      const isEnough = (kills) => kept('reset') >= kills * 5 && kept('register') >= kills / 4 && races.size >= kills / 2;
      try {
        await killer.play(KILLS, (kills) => until('something to lose', () => isEnough(kills)));
      } finally {
        isOver = true;
        await Promise.all(load);
      }
      // What a dead process had claimed is free once its lease of 30 s has run out.
      await until('the outbox to drain', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 0, 300_000);

      const outcomes = [...promises.byName.values()].map(({ outcome }) => outcome);
      const mails = [...received.byId.values()];
      const copies = mails.reduce((sum, mail) => sum + mail.copies.length - 1, 0);
      const tally = JSON.stringify(outcomes.reduce((sums, one) => ({ ...sums, [one]: (sums[one] ?? 0) + 1 }), {}));
      t.diagnostic(`requests: ${tally}; ${mails.length} mails, ${copies} copies; ${races.size} races, ${confirmed.size} confirmations`);
      const [resets, registered] = [promises.names('reset', 'kept'), promises.names('register', 'kept')];

      // Whoever was answered has the mail, and nobody else has one.
      for (const name of [...resets, ...registered]) assert.ok(received.to(name).length > 0, `no mail to ${name}`);
      for (const name of received.byName.keys()) assert.notEqual(promises.byName.get(name)?.outcome ?? 'refused', 'refused', name);
      const states = await sql(database, `SELECT state, count(*) AS n FROM letters WHERE state NOT IN ('sent', 'superseded') GROUP BY 1`);
      assert.deepEqual(states, [], 'a kill costs no letter its life');

      // A copy is the same to the byte, and a kill between it and the one before is its reason.
      for (const { id, copies: all, differing } of mails) {
        assert.equal(differing, 0, `copies of ${id} differ`);
        assert.ok(all.length - 1 <= killer.between(all[0].at, all.at(-1).at), `${all.length} copies of ${id}`);
      }

      const anyone = clients[0];
      await inParallel([...races], 4, async ([name, tries]) => {
        const token = tokenIn(received.to(name)[0].raw);
        const say = `${name}: ${JSON.stringify(tries)}`;
        const winners = [];
        for (const { password } of tries) if ((await anyone.signIn(name, password)).status === 200) winners.push(password);
        assert.ok(winners.length <= 1, say);
        const promised = tries.filter(({ outcome }) => outcome === 'kept');
        assert.ok(promised.length <= 1, `one winner at most: ${say}`);
        if (promised.length === 1) assert.deepEqual(winners, [promised[0].password], say);
        const lost = tries.filter(({ outcome }) => outcome === 'refused').map(({ password }) => password);
        assert.ok(!lost.includes(winners[0]), `who was refused changed nothing: ${say}`);
        assert.equal((await anyone.signIn(name, PASSWORD)).status, winners.length === 1 ? 401 : 200, say);
        assert.equal((await anyone.completeReset(token, 'the last password')).status, winners.length === 1 ? 403 : 200, say);
      });
      await inParallel(resets.filter((name) => !races.has(name)).slice(0, 100), 4, async (name) => {
        const token = tokenIn(received.to(name)[0].raw);
        assert.equal((await anyone.completeReset(token, 'the last password')).status, 200, name);
        assert.equal((await anyone.completeReset(token, 'another password')).status, 403, name);
      });
      for (const name of registered) {
        const isConfirmed = Boolean(await value(database, `SELECT is_confirmed FROM accounts WHERE name_key = '${name}'`));
        if (confirmed.get(name) === 'kept') assert.ok(isConfirmed, `${name} was told that it is confirmed`);
        if (!confirmed.has(name)) assert.ok(!isConfirmed, name);
      }
      await until('the last notices', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 0);
      assert.deepEqual(await brokenInvariants(database), {});
      for (const server of killer.servers) assert.equal((await server.stop()).code, 0);
    });
  }
});
