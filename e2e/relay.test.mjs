// Relays that misbehave: whose fault it is decides what happens to the letter (design, section 8).
//
// The deadline for the reply after the final dot (300 s) and those for connecting and for TLS are not waited for here:
// crates/regain-smtp tests every deadline with lowered values, crates/regain the decision that follows from each phase,
// crates/regain-core how long letter and relay then wait.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { makeCertificates } from './lib/certificates.mjs';
import { parseMail } from './lib/mail.mjs';
import { temporaryDirectory } from './lib/place.mjs';
import { Installation } from './lib/regain.mjs';
import { DROP, ScriptedRelay, SILENCE } from './lib/relay.mjs';
import { pause, until } from './lib/wait.mjs';

const ANN = 'ann@example.org';
const BEN = 'ben@example.com';

async function start(t, script = {}, { query = '', login = '', env, ...options } = {}) {
  const relay = await ScriptedRelay.start(t, options);
  relay.script = script;
  const url = `smtp://${login}localhost:${relay.port}${query}`;
  const installation = await Installation.make(t, { relay: url });
  const server = await installation.serve({ env });
  const register = async (name) => assert.equal((await server.client.register(name, 'first password')).status, 200);
  return { relay, installation, server, register };
}

/** What must hold where the relay is at fault: nothing is charged to the letter, and it goes out once the relay works. */
async function relayIsAtFault({ relay, installation, server, register }, error) {
  await register(ANN);
  const held = await installation.letter('confirm', 'held back', (l) => l.state === 'waiting' && l.lastError, 120_000);
  assert.equal(held.attempts, 0);
  assert.match(held.lastError, error);
  assert.equal(relay.accepted(ANN).length, 0);
  const health = await server.client.send('GET', '/health');
  assert.deepEqual([health.status, health.body.status], [200, 'degraded']);

  relay.behave();
  await relay.mail(ANN, { ms: 120_000 });
  const sent = await installation.letter('confirm', 'sent', (l) => l.state === 'sent');
  assert.equal(sent.attempts, 1);
  assert.equal(relay.accepted(ANN).length, 1);
  await until('good health', async () => (await server.client.send('GET', '/health')).body.status === 'ok');
}

/** What must hold where one letter is put off or refused: it is charged, and others are not held up. */
async function onlyThisLetter({ relay, installation, register }, state, reply) {
  await register(ANN);
  const judged = await installation.letter('confirm', state, (l) => l.state === state && l.attempts === 1);
  assert.match(judged.relayReply, reply);
  relay.behave();
  await register(BEN);
  await relay.mail(BEN);
  return judged;
}

describe('a relay', { concurrency: 4 }, () => {
  test('that refuses connections is waited for', async (t) => {
    const setting = await start(t);
    await setting.relay.refuse();
    const { relay } = setting;
    relay.behave = () => relay.listen();
    await relayIsAtFault(setting, /connect/i);
  });

  test('that falls silent after its greeting is given up after the deadline of a command, and blocks nobody', async (t) => {
    const setting = await start(t, { ehlo: SILENCE });
    const asked = performance.now();
    await relayIsAtFault(setting, /ehlo|time/i);
    assert.ok(performance.now() - asked >= 25_000);
  });

  test('that falls silent after the final dot keeps its letter: the lease is renewed and no copy is sent', async (t) => {
    const { relay, installation, server, register } = await start(t, { dot: SILENCE });
    await register(ANN);
    await until('the mail', () => relay.mails.length === 1);
    // A lease is 30 s; one that is not renewed would be claimed again within this time.
    await pause(40_000);
    assert.equal(relay.mails.length, 1);
    await installation.letter('confirm', 'claimed', (l) => l.state === 'claimed');
    relay.behave();
    await register(BEN);
    await relay.mail(BEN);
    assert.equal((await server.client.send('GET', '/health')).status, 200);
  });

  test('that says 421 instead of a greeting is at fault', async (t) => {
    await relayIsAtFault(await start(t, { greeting: '421 4.3.2 shutting down' }), /421|greeting/i);
  });

  test('that says 421 to MAIL is at fault', async (t) => {
    await relayIsAtFault(await start(t, { mail: '421 4.3.2 shutting down' }), /421|MAIL/);
  });

  test('that says 451 to RCPT is asked again no sooner than in a minute', async (t) => {
    const setting = await start(t, { rcpt: '451 4.7.1 greylisted' });
    const letter = await onlyThisLetter(setting, 'waiting', /451/);
    assert.ok(Date.parse(letter.due) >= Date.parse(letter.posted) + 60_000, `posted ${letter.posted}, due ${letter.due}`);
    assert.equal(setting.relay.accepted(ANN).length, 0);
  });

  test('that says 550 to RCPT is believed: the letter is dead, with the code', async (t) => {
    const setting = await start(t, { rcpt: '550 5.1.1 no such user <ann@example.org>' });
    const letter = await onlyThisLetter(setting, 'dead', /550/);
    assert.doesNotMatch(JSON.stringify([letter.relayReply, letter.lastError]), /ann@/, 'no address in what is kept');
  });

  test('that refuses a recipient by policy is asked again', async (t) => {
    await onlyThisLetter(await start(t, { rcpt: '550 5.7.1 not today' }), 'waiting', /550/);
  });

  test('that finds the mail too large at MAIL refuses this letter only', async (t) => {
    await onlyThisLetter(await start(t, { mail: '552 5.3.4 too large' }), 'dead', /552/);
  });

  test('that refuses the mail after the final dot is believed', async (t) => {
    await onlyThisLetter(await start(t, { dot: '554 5.6.0 no' }), 'dead', /554/);
  });

  test('that refuses the login is at fault, and gets no mail without one', async (t) => {
    const options = { auth: true, login: 'mailer:t0p-secret@' };
    const setting = await start(t, { auth: '535 5.7.8 no' }, options);
    await relayIsAtFault(setting, /535/);
    const [first] = setting.relay.sessions;
    assert.ok(first.commands.some((line) => line.startsWith('AUTH')));
    assert.ok(!first.commands.some((line) => line.startsWith('MAIL')));
    assert.doesNotMatch(setting.server.output, /t0p-secret|dDBwLXNlY3JldA/);
  });

  test('that offers no login gets no mail where one is configured', async (t) => {
    const setting = await start(t, {}, { auth: false, login: 'mailer:t0p-secret@' });
    await setting.register(ANN);
    const held = await setting.installation.letter('confirm', 'held back', (l) => l.state === 'waiting' && l.lastError);
    assert.equal(held.attempts, 0);
    assert.ok(setting.relay.sessions.every((s) => !s.commands.some((line) => line.startsWith('MAIL'))));
  });

  test('that cuts the connection before its 250 gets a byte-identical copy', async (t) => {
    const { relay, installation, register } = await start(t, { dot: DROP });
    await register(ANN);
    await until('the mail', () => relay.mails.length === 1);
    relay.behave();
    const copy = await relay.mail(ANN);
    assert.deepEqual(copy.raw, relay.mails[0].raw);
    const letter = await installation.letter('confirm', 'sent', (l) => l.state === 'sent');
    assert.equal(letter.attempts, 2, 'the attempt that was cut off counts');
  });

  test('that sends bytes behind its answer to STARTTLS is hung up on', async (t) => {
    const directory = await temporaryDirectory();
    const tls = await makeCertificates(directory);
    const options = { tls, query: '?requireTLS=true', env: { SSL_CERT_FILE: tls.authorityFile } };
    const setting = await start(t, { starttls: '220 2.0.0 go on\r\n250 2.0.0 injected' }, options);
    await relayIsAtFault(setting, /starttls/i);
    const [first] = setting.relay.sessions;
    assert.equal(first.commands.filter((line) => /^(AUTH|MAIL|RCPT|DATA)/.test(line)).length, 0);
  });

  test('that does not offer STARTTLS gets no mail where TLS is required', async (t) => {
    const setting = await start(t, {}, { query: '?requireTLS=true' });
    await setting.register(ANN);
    const held = await setting.installation.letter('confirm', 'held back', (l) => l.state === 'waiting' && l.lastError);
    assert.equal(held.attempts, 0);
    assert.match(held.lastError, /tls/i);
    assert.equal(setting.relay.mails.length, 0);
  });

  test('that works is kept: ten mails take fewer connections than mails, and only CRLF ends their lines', async (t) => {
    const { relay, register } = await start(t);
    for (let i = 0; i < 10; i += 1) {
      await register(`user${i}@example.org`);
      await relay.mail(`user${i}@example.org`);
    }
    assert.ok(relay.sessions.length <= 5, `${relay.sessions.length} connections`);
    for (const { raw } of relay.mails) {
      const { bareLineFeeds, longestLine } = await parseMail(raw);
      assert.equal(bareLineFeeds, 0);
      assert.ok(longestLine <= 998);
    }
  });
});
