// Several processes over one database in PostgreSQL, with nothing between them but that: who starts first, who delivers what,
// and that limits, clocks, leases and versions hold across all of them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { importAccounts, inParallel, names, PASSWORD } from './lib/accounts.mjs';
import { Clock } from './lib/clock.mjs';
import { brokenInvariants, sql, value } from './lib/database.mjs';
import { messageIdOf, tokenIn } from './lib/mail.mjs';
import { Postgres } from './lib/postgres.mjs';
import { fromRequestToMail, inTurn, makeProcesses } from './lib/processes.mjs';
import { ScriptedRelay } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const [ANN, BEN] = ['ann@example.org', 'ben@example.org'];
const HOUR = 3600;

const kept = (asking) => asking.then(({ status }) => assert.equal(status, 200));
const open = (database) => value(database, 'SELECT sum(open) FROM outbox');
const drained = (database, ms) => until('an empty outbox', async () => (await open(database)) === 0, ms);
const count = (database, condition) => value(database, `SELECT count(*) FROM letters WHERE ${condition}`);
const serveAll = (installations, options) => Promise.all(installations.map((one) => one.serve(options)));

test('fifty processes start at once on an empty database, and each one comes up and works', async (t) => {
  const all = await makeProcesses(t, 50, { mail: null });
  const servers = await serveAll(all, { ms: 300_000 });
  const { database } = all[0];
  for (const server of servers) await server.says('regain is listening on');
  const applied = await sql(database, 'SELECT number, name FROM migrations ORDER BY number');
  assert.deepEqual(applied.map(({ number }) => number), applied.map((_, i) => i + 1));
  assert.ok(applied.length >= 4 && new Set(applied.map(({ name }) => name)).size === applied.length);
  // An account made at one is there at every other.
  await kept(servers[0].client.register(ANN, PASSWORD));
  await inParallel(servers, 4, (server) => kept(server.client.signIn(ANN, PASSWORD)));
  for (const { code } of await Promise.all(servers.map((server) => server.stop({ ms: 120_000 })))) assert.equal(code, 0);
});

test('of five thousand letters posted at two processes each is delivered once, some by either', async (t) => {
  const relays = [await ScriptedRelay.start(t), await ScriptedRelay.start(t)];
  const both = await makeProcesses(t, 2, { relay: relays.map(({ url }) => url) });
  const all = names(5000);
  await importAccounts(both[0], all);
  await serveAll(both);
  const next = inTurn(both);
  const begun = performance.now();
  await inParallel(all, 32, (name) => kept(next().askForReset(name)));
  const { database } = both[0];
  await drained(database, 300_000);
  const mails = relays.flatMap((relay) => relay.mails);
  const shares = relays.map((relay) => relay.mails.length);
  t.diagnostic(`${shares.join(' and ')} mails in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  assert.equal(mails.length, 5000);
  assert.equal(new Set(mails.map(({ raw }) => messageIdOf(raw))).size, 5000);
  assert.equal(new Set(mails.map(({ to }) => to[0])).size, 5000);
  assert.ok(Math.min(...shares) > 100, `each has its share: ${shares}`);
  assert.deepEqual(await sql(database, 'SELECT state, attempts, count(*) AS n FROM letters GROUP BY 1, 2'), [{ state: 'sent', attempts: 1, n: 5000 }]);
  assert.deepEqual(await brokenInvariants(database), {});
});

describe('two processes', { concurrency: 3 }, () => {
  test('of which one sleeps past its lease: the result of the other stands, and there is one copy more at most', async (t) => {
    const relays = [await ScriptedRelay.start(t), await ScriptedRelay.start(t)];
    const [one, other] = await makeProcesses(t, 2, { relay: relays.map(({ url }) => url) });
    await importAccounts(one, [ANN, BEN]);
    const { database } = one;
    const sleeper = await one.serve();
    let falling;
    let isAsleep = false;
    // Both mails are with the relay when it falls asleep; it will hear that they were taken when it wakes up.
    relays[0].script.dot = async () => {
      await until('both mails', () => relays[0].mails.length === 2);
      await (falling ??= sleeper.freeze());
      isAsleep = true;
    };
    await Promise.all([ANN, BEN].map((name) => kept(sleeper.client.askForReset(name))));
    await until('the sleep', () => isAsleep);
    // The other one's relay knows nobody called Ben, so that the two results differ.
    relays[1].script.rcpt = (session) => (session.commands.at(-1).includes(BEN) ? '550 5.1.1 no such mailbox' : undefined);
    const awake = await other.serve();
    await drained(database, 120_000);
    const rows = () => sql(database, 'SELECT * FROM letters ORDER BY name_key');
    const settled = await rows();
    assert.deepEqual(settled.map(({ name_key, state }) => [name_key, state]), [[ANN, 'sent'], [BEN, 'dead']]);

    sleeper.thaw();
    await until('the sleeper to be told', () => relays[0].accepted(ANN).length + relays[0].accepted(BEN).length === 2);
    await kept(sleeper.client.signIn(ANN, PASSWORD));
    const lost = /another has taken this letter over meanwhile/g;
    await until('the sleeper to see it', () => [...sleeper.output.matchAll(lost)].length === 2);
    assert.deepEqual(await rows(), settled, 'what the other one wrote down stands');
    const copies = relays.flatMap((relay) => relay.accepted(ANN));
    assert.equal(copies.length, 2);
    assert.deepEqual(copies[1].raw, copies[0].raw);
    assert.equal(relays[0].mails.length, 2);
    const token = tokenIn(copies[0].raw);
    await kept(awake.client.completeReset(token, 'second password'));
    assert.equal((await sleeper.client.completeReset(token, 'third password')).status, 403);
  });

  test('of which one is an hour ahead and another an hour back: no token is revived or cut short, no letter parked', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const settings = { resetTokenLifetime: 600, limits: { perClient: false, perAddress: false } };
    const [right, ahead, back] = await makeProcesses(t, 3, { relay: relay.url, settings });
    const wrong = async (one, seconds) => {
      const clock = new Clock(one.directory);
      await clock.set(seconds);
      return { env: clock.env };
    };
    const envs = new Map([[right, {}], [ahead, await wrong(ahead, HOUR)], [back, await wrong(back, -HOUR)]]);
    const all = names(60);
    await importAccounts(right, all);
    const { database } = right;

    // Each courts the same queue in turn, while all of them serve: a letter goes out at once, whoever posted it.
    let number = 0;
    const issued = [];
    for (const courier of [right, ahead, back]) {
      const servers = await Promise.all([...envs].map(([one, how]) => one.serve({ ...how, args: one === courier ? [] : ['--no-courier'] })));
      for (const server of servers) {
        const name = all[number++];
        await kept(server.client.askForReset(name));
        const mail = await relay.mail(name);
        issued.push({ name, token: tokenIn(mail.raw) });
      }
      await Promise.all(servers.map((server) => server.stop()));
    }
    assert.equal(await count(database, `state <> 'sent'`), 0);

    const servers = await Promise.all([...envs].map(([one, how]) => one.serve(how)));
    const isAhead = Date.parse(/^\d{4}-\d\d-\d\dT[\d:.]+Z/m.exec(servers[1].output)[0]) - Date.now();
    assert.ok(isAhead > HOUR * 500, 'its clock is wrong');
    // One more second, one less: by the database's clock, whoever is asked.
    const now = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';
    const [expired, good] = [issued.slice(0, 3), issued.slice(3, 6)];
    const hashes = (some) => some.map(({ name }) => `'${name}'`).join(', ');
    await sql(database, `UPDATE tokens SET expires = ${now} - 1000 WHERE name_key IN (${hashes(expired)});
      UPDATE tokens SET expires = ${now} + 60000 WHERE name_key IN (${hashes(good)})`);
    for (const server of servers) {
      for (const { token } of expired) assert.equal((await server.client.completeReset(token, 'second password')).status, 403);
    }
    for (const [i, { name, token }] of good.entries()) {
      await kept(servers[i].client.completeReset(token, 'second password'));
      for (const server of servers) assert.equal((await server.client.completeReset(token, 'third password')).status, 403, 'used stays used');
      // A session of one is one of every other.
      const { body } = await servers[i].client.signIn(name, 'second password');
      await kept(servers[(i + 1) % 3].client.changePassword(body.refresh_token.token, 'fourth password'));
    }
    await drained(database);
    // A letter that was put off by one whose clock is wrong is due when it should be.
    relay.script.rcpt = '451 4.7.1 later';
    await Promise.all(servers.map((server) => kept(server.client.askForReset(all[number++]))));
    await until('letters put off', async () => (await count(database, `attempts > 0 AND state = 'waiting'`)) === 3);
    assert.equal(await count(database, `ended IS NULL AND due > ${now} + 600000`), 0);
    relay.behave();
    await sql(database, `UPDATE letters SET due = ${now} WHERE ended IS NULL`);
    await drained(database);
    assert.equal(await count(database, `state IN ('expired', 'dead')`), 0);
    assert.deepEqual(await brokenInvariants(database), {});
  });

  for (const [how, minutes] of [['seven minutes forward', 7], ['a quarter of an hour back', -15]]) {
    test(`whose database's clock is set ${how} send no mail twice, lose none and go on`, async (t) => {
      const postgres = await Postgres.start(t, { hasClock: true });
      const relays = [await ScriptedRelay.start(t), await ScriptedRelay.start(t)];
      const both = await makeProcesses(t, 2, { postgres, relay: relays.map(({ url }) => url) });
      const [slow, others] = [['a@slow.example', 'b@slow.example', 'c@slow.example', 'd@slow.example'], names(4)];
      await importAccounts(both[0], [...slow, ...others]);
      const servers = await serveAll(both);
      const next = inTurn(both);
      const { database } = both[0];

      // These are with a relay, which is slow to answer, when the clock is set.
      let answer;
      const answered = new Promise((resolve) => (answer = resolve));
      for (const relay of relays) relay.script.dot = ({ envelope }) => (slow.includes(envelope.to[0]) ? answered : undefined);
      const mails = () => relays.flatMap((relay) => relay.mails.map(({ to }) => to[0]));
      for (const name of slow) await kept(next().askForReset(name));
      await until('mails that are under way', () => mails().length === slow.length);
      await postgres.clock.set(minutes * 60);
      await Promise.all(servers.map((server) => until('it to see that', () => server.output.includes('database_clock_stepped'))));

      // Others go out meanwhile, at once.
      for (const name of others) {
        await kept(next().askForReset(name));
        await until('its mail', () => mails().includes(name), 30_000);
      }
      // Longer than claims of others are left alone.
      await pause(40_000);
      assert.deepEqual(mails().sort(), [...slow, ...others].sort());
      answer();
      await drained(database);
      assert.deepEqual(mails().sort(), [...slow, ...others].sort());
      const states = await sql(database, 'SELECT state, attempts, crashes, count(*) AS n FROM letters GROUP BY 1, 2, 3');
      assert.deepEqual(states, [{ state: 'sent', attempts: 1, crashes: 0, n: 8 }]);
      assert.deepEqual(await brokenInvariants(database), {});
    });
  }

  test('of which one serves and the other delivers: a letter goes out at once, also after the listener was cut off', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const [front, behind] = await makeProcesses(t, 2, { relay: relay.url });
    const all = names(30);
    await importAccounts(front, all);
    const server = await front.serve({ args: ['--no-courier'] });
    await kept(server.client.askForReset(all[0]));
    await pause(1000);
    assert.equal(relay.mails.length, 0, 'it delivers nothing itself');
    const courier = await behind.courier();
    await relay.mail(all[0]);

    const before = await fromRequestToMail(server, relay, all.slice(1, 11));
    t.diagnostic(`request to mail: ${before.map((time) => time.toFixed(3)).join(' ')} s`);
    assert.ok(before[5] < 2.5, `${before}`);

    const postgres = await Postgres.shared();
    const name = new URL(front.database).pathname.slice(1);
    // What it said last is what tells the connection that listens from others.
    const listens = `(query LIKE '%clock_timestamp()%' OR query LIKE 'NOTIFY%' OR query LIKE 'LISTEN%')`;
    assert.equal(await postgres.terminate(`datname = '${name}' AND ${listens}`), 2);
    await kept(server.client.askForReset(all[11]));
    await relay.mail(all[11]);
    await Promise.all([server, courier].map((one) => until('its listener', () => one.output.includes('database_listener_back'))));
    const after = await fromRequestToMail(server, relay, all.slice(12, 22));
    t.diagnostic(`after the cut: ${after.map((time) => time.toFixed(3)).join(' ')} s`);
    assert.ok(after[5] < 2.5, `${after}`);
    assert.equal((await courier.stop()).code, 0);
    assert.equal((await server.stop()).code, 0);
  });

  test('asked by fifty at once for one address have one open letter for it', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const [one, other, behind] = await makeProcesses(t, 3, { relay: relay.url });
    const all = names(10);
    await importAccounts(one, all);
    await serveAll([one, other], { args: ['--no-courier'] });
    const next = inTurn([one, other]);
    const { database } = one;
    for (const name of all) await Promise.all(Array.from({ length: 50 }, () => kept(next().askForReset(name))));
    assert.deepEqual(await sql(database, 'SELECT count(*) AS letters, count(DISTINCT name_key) AS names, sum(repeats) AS repeats FROM letters'), [
      { letters: 10, names: 10, repeats: 490 },
    ]);
    await behind.courier();
    await drained(database);
    assert.equal(relay.mails.length, 10);
    assert.deepEqual(await brokenInvariants(database), {});
  });

  test('send one address five mails a day, and none within the minute after one', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const both = await makeProcesses(t, 2, { relay: relay.url });
    await importAccounts(both[0], [ANN]);
    await serveAll(both);
    const { database } = both[0];
    const next = inTurn(both);
    for (let round = 1; round <= 7; round += 1) {
      await Promise.all(Array.from({ length: 7 }, () => kept(next().askForReset(ANN))));
      await drained(database);
      await Promise.all(Array.from({ length: 6 }, () => kept(next().askForReset(ANN))));
      assert.equal(await count(database, 'true'), Math.min(round, 5), `round ${round}`);
      // A minute passes.
      await sql(database, 'UPDATE letters SET posted = posted - 61000, ended = ended - 61000');
    }
    assert.equal(relay.mails.length, 5);
    await sql(database, `UPDATE letters SET posted = posted - ${24 * HOUR * 1000}, ended = ended - ${24 * HOUR * 1000}`);
    await kept(next().askForReset(ANN));
    await relay.mail(ANN, { count: 6 });
  });

  test('share one mail budget', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const both = await makeProcesses(t, 2, { relay: relay.url, settings: { limits: { perClient: false, mailPerHour: 40 } } });
    const all = names(120);
    await importAccounts(both[0], all);
    const servers = await serveAll(both);
    const next = inTurn(both);
    const { database } = both[0];
    await inParallel(all, 16, (name) => kept(next().askForReset(name)));
    const overBudget = `state = 'waiting' AND last_error LIKE '%budget%'`;
    await until('all others to wait', async () => (await count(database, overBudget)) === 80);
    await until('all that there is a budget for to be sent', async () => (await count(database, `state = 'sent'`)) === 40);
    assert.equal(relay.mails.length, 40);
    // A restart begins no new hour.
    await servers[0].kill();
    await both[0].serve();
    await sql(database, `UPDATE letters SET due = posted WHERE ${overBudget}`);
    await pause(3000);
    assert.equal(relay.mails.length, 40);
    // When ten have had their hour, ten more go.
    await sql(database, `UPDATE letters SET ended = ended - ${HOUR * 1000} WHERE id IN (SELECT id FROM letters WHERE state = 'sent' LIMIT 10);
      UPDATE letters SET due = posted WHERE ${overBudget}`);
    await until('ten more', async () => (await count(database, `state = 'sent'`)) === 50);
    await until('all others to wait', async () => (await count(database, overBudget)) === 70);
    assert.equal(relay.mails.length, 50);
  });

  test('tell an address that nobody has confirmed of five changed passwords a day', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const both = await makeProcesses(t, 2, { relay: relay.url });
    await serveAll(both);
    const next = inTurn(both);
    const { database } = both[0];
    await kept(next().register(ANN, PASSWORD));
    const { body } = await next().signIn(ANN, PASSWORD);
    const session = body.refresh_token.token;
    for (let i = 0; i < 8; i += 1) await kept(next().changePassword(session, `password number ${i}`));
    // And at the same time: whichever wins, nobody is told more often.
    await Promise.all(Array.from({ length: 8 }, (_, i) => next().changePassword(session, `password at once ${i}`)));
    await drained(database);
    assert.equal(await count(database, `purpose = 'password_changed'`), 5);
    assert.equal(relay.accepted(ANN).filter(({ raw }) => !raw.includes('token=')).length, 5);
  });

  test('of versions side by side: works with a schema that a newer one has made, unless that says it cannot', async (t) => {
    const relay = await ScriptedRelay.start(t);
    const [one, other] = await makeProcesses(t, 2, { relay: relay.url });
    await importAccounts(one, [ANN, BEN]);
    const { database } = one;
    const running = await one.serve();
    const [{ known }] = await sql(database, 'SELECT max(number) AS known FROM migrations');
    await sql(database, `ALTER TABLE letters ADD COLUMN of_the_future BIGINT;
      INSERT INTO migrations (number, name, sha256, works_from) VALUES (${known + 1}, 'of_the_future', '\\x00', ${known})`);
    const started = await other.serve();
    assert.match(started.output, /schema of a newer version, which this one can work with/);
    await kept(running.client.askForReset(ANN));
    await kept(started.client.askForReset(BEN));
    await relay.mail(ANN);
    await kept(running.client.completeReset(tokenIn((await relay.mail(BEN)).raw), 'second password'));
    await started.stop();

    await sql(database, `UPDATE migrations SET works_from = ${known + 1} WHERE number = ${known + 1}`);
    const { code, stderr } = await other.run(['serve', '--config', other.file]);
    assert.notEqual(code, 0);
    assert.match(stderr, /newer/);
    await kept(running.client.signIn(BEN, 'second password'));
  });
});
