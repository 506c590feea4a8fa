// Mail servers that people run take our mail, however they want it: in the clear or over TLS, after a login or without
// one, with the extensions of SMTP that we use and without them.
//
// What each server is asked for is the table below. Servers that fail are for `relay.test.mjs` and `sink.test.mjs`.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { domainToASCII } from 'node:url';

import { importAccounts } from './lib/accounts.mjs';
import { onlyLink, parseMail, tokenOf } from './lib/mail.mjs';
import { Installation } from './lib/regain.mjs';
import { Aiosmtpd } from './lib/servers/aiosmtpd.mjs';
import { Exim } from './lib/servers/exim.mjs';
import { Greylist } from './lib/servers/greylist.mjs';
import { CROWD, urlOf, USER } from './lib/servers/offer.mjs';
import { PostfixRelay } from './lib/servers/postfix.mjs';
import { SmtpServer } from './lib/servers/smtp_server.mjs';
import { Tap } from './lib/servers/tap.mjs';
import { until } from './lib/wait.mjs';

const WAYS = {
  'in the clear': { tls: 'none' },
  'in the clear, without PIPELINING': { tls: 'none', pipelining: false },
  'in the clear, without PIPELINING and 8BITMIME': { tls: 'none', pipelining: false, eightBit: false },
  'by STARTTLS after AUTH PLAIN': { tls: 'starttls', login: 'PLAIN' },
  'by STARTTLS after AUTH PLAIN, without PIPELINING': { tls: 'starttls', login: 'PLAIN', pipelining: false },
  'by STARTTLS after AUTH LOGIN, without PIPELINING': { tls: 'starttls', login: 'LOGIN', pipelining: false },
  'by STARTTLS after AUTH CRAM-MD5': { tls: 'starttls', login: 'CRAM-MD5' },
  'by STARTTLS after AUTH XOAUTH2': { tls: 'starttls', login: 'XOAUTH2' },
  'by smtps after AUTH LOGIN': { tls: 'smtps', login: 'LOGIN' },
  'by smtps after AUTH PLAIN, without PIPELINING': { tls: 'smtps', login: 'PLAIN', pipelining: false },
};

/** Each server with the test for what it cannot be made to offer. */
const MATRIX = [
  { name: 'Postfix', server: PostfixRelay, lacks: ({ login }) => login === 'XOAUTH2' },
  { name: 'Exim', server: Exim, lacks: ({ login }) => login === 'XOAUTH2' },
  { name: 'smtp-server', server: SmtpServer, lacks: () => false },
  { name: 'aiosmtpd', server: Aiosmtpd, lacks: ({ pipelining }) => pipelining !== false },
];

/** Account and sender, and how their domains are written where only ASCII may stand. */
const NAME = 'ada@bücher.test';
const ADDRESS = `ada@${domainToASCII('bücher.test')}`;
const FROM = '"Jürgen Müßig" <noreply@grüße.test>';
const FROM_ON_THE_WIRE = `noreply@${domainToASCII('grüße.test')}`;

/** Lines that SMTP, or a server on the way, could trip over. */
const AWKWARD_LINES = ['.', '..', '.hidden', 'QUIT', 'From here on', `long ${'x'.repeat(1_500)}`, 'Grüße, 你好'];
const CONFIRMATION = {
  subject: 'Bestätigen Sie Ihre Adresse für Müßiggänger 🦉',
  textTemplate: `${AWKWARD_LINES.join('\n')}\n%BASE_URL%/confirm-email?token=%TOKEN%\n.\n`,
  htmlTemplate: `<p>${AWKWARD_LINES.join('<br>\n')}</p>\n<p><a href="%BASE_URL%/confirm-email?token=%TOKEN%">Bestätigen</a></p>\n.\n`,
};

/** A relay with that offer and an installation that delivers to it. In the clear a tap listens in. */
async function start(t, Server, offer, { password, settings, from = FROM } = {}) {
  const relay = await Server.start(t, offer, settings);
  const tap = offer.tls === 'none' ? await Tap.start(t, relay.port) : undefined;
  const installation = await Installation.make(t, {
    relay: urlOf(offer, tap?.port ?? relay.port, password),
    mail: { from, confirmActionConfig: CONFIRMATION },
  });
  const server = await installation.serve({ env: offer.tls === 'none' ? {} : { SSL_CERT_FILE: relay.authorityFile } });
  return { relay, tap, installation, client: server.client };
}

/** Waits until the letter is `state` and answers what the operator is shown of it. */
async function shown(installation, purpose, state) {
  const { id } = await installation.letter(purpose, state, (letter) => letter.state === state);
  return show(installation, id);
}

async function show(installation, id) {
  const { code, stdout, stderr } = await installation.run(['outbox', 'show', id, '--json', '--reveal', '--config', installation.file]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Registers and waits for the verdict on the one mail: a letter that is `state` and says why. */
async function refused({ client, installation }, name, state) {
  assert.equal((await client.register(name, 'first password')).status, 200);
  const { id } = await installation.letter('confirm', state, (letter) => letter.state === state && letter.lastError);
  return show(installation, id);
}

/** What must be true of every mail that a server keeps; answers it parsed. */
async function checkKept(raw) {
  const mail = await parseMail(raw);
  const header = (name) => mail.headers.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);
  assert.deepEqual(mail.defects, []);
  assert.deepEqual(mail.parts, ['text/plain', 'text/html']);
  assert.ok(mail.longestLine <= 998, `${mail.longestLine}`);
  assert.ok(raw.every((byte) => byte < 0x80), 'seven bits');
  assert.deepEqual(header('from'), [`Jürgen Müßig <${FROM_ON_THE_WIRE}>`]);
  assert.deepEqual(header('to'), [ADDRESS]);
  assert.deepEqual([...new Set(mail.htmlLinks)], [onlyLink(mail.text)], 'one link, the same in text and HTML');
  return { ...mail, subject: header('subject')[0], link: onlyLink(mail.text) };
}

/** What must be true of the bytes on the wire. */
function checkWire(tap, { pipelining = true }, mails) {
  assert.doesNotMatch(tap.sent, /(?<!\r)\n|\r(?!\n)/, 'CRLF alone ends a line');
  assert.doesNotMatch(tap.sent, /[^\0-\x7f]/, 'seven bits');
  assert.ok(Math.max(...tap.sent.split('\r\n').map((line) => line.length)) <= 998);
  assert.equal(tap.messages.length, mails);
  for (const message of tap.messages) {
    const lines = message.split('\r\n');
    assert.deepEqual(lines.splice(-2), ['.', '']);
    for (const line of lines.filter((l) => l.startsWith('.'))) assert.match(line, /^\.\./);
  }
  assert.deepEqual(tap.bursts, Array(mails).fill(pipelining ? 3 : 1), 'commands in one go');
}

/** A sender whose address can only be written with SMTPUTF8. */
const BEYOND_ASCII = '"Jürgen Müßig" <jürgen@grüße.test>';

async function takesSenderBeyondAscii(t, Server) {
  const offer = { tls: 'none', pipelining: false };
  const { relay, tap, installation, client } = await start(t, Server, offer, { from: BEYOND_ASCII });
  assert.equal((await client.register(NAME, 'first password')).status, 200);
  assert.match((await shown(installation, 'confirm', 'sent')).relayReply, /^250\b/);
  assert.match(tap.sent, /^MAIL FROM:<[^>]*>.* SMTPUTF8\b/m);
  assert.doesNotMatch(tap.sent, /(?<!\r)\n|\r(?!\n)/, 'CRLF alone ends a line');
  const mail = await parseMail(await relay.mail(ADDRESS));
  assert.deepEqual(mail.defects, []);
  const [, from] = mail.headers.find(([name]) => name === 'From');
  assert.match(from, /^Jürgen Müßig <jürgen@(grüße|xn--gre-6ka8l)\.test>$/);
  assert.equal((await client.confirm(tokenOf(onlyLink(mail.text)))).status, 200);
}

async function takesBothMails(t, Server, offer) {
  const { relay, tap, installation, client } = await start(t, Server, offer);
  const way = { tls: offer.tls !== 'none', login: offer.login ? USER : null };

  assert.equal((await client.register(NAME, 'first password')).status, 200);
  const confirmation = await shown(installation, 'confirm', 'sent');
  assert.match(confirmation.relayReply, /^250\b/);
  assert.equal(confirmation.attempts, 1);
  const first = await checkKept(await relay.mail(ADDRESS, 1));
  assert.equal(first.subject, CONFIRMATION.subject);
  const said = first.text.replaceAll('\r\n', '\n').split('\n');
  assert.deepEqual(said.slice(0, AWKWARD_LINES.length), AWKWARD_LINES);
  assert.equal(said[AWKWARD_LINES.length + 1], '.', 'what follows the link is there, too');
  for (const line of AWKWARD_LINES) assert.ok(first.html.includes(line), line);
  assert.equal((await client.confirm(tokenOf(first.link))).status, 200);

  assert.equal((await client.askForReset(NAME)).status, 200);
  assert.match((await shown(installation, 'reset', 'sent')).relayReply, /^250\b/);
  const second = await checkKept(await relay.mail(ADDRESS, 2));
  assert.equal((await client.completeReset(tokenOf(second.link), 'second password')).status, 200);
  assert.match((await shown(installation, 'password_changed', 'sent')).relayReply, /^250\b/);

  for (const count of [1, 2, 3]) assert.deepEqual(await relay.taken(ADDRESS, count), way);
  if (tap) checkWire(tap, offer, 3);
}

/**
 * Greylisting as people meet it: the one letter comes back after a minute and is taken, and nobody waits for it. It takes
 * more than a minute, for which the others do not wait either.
 */
async function isGreylisted(t) {
  const [grey, ...others] = ['ada', 'ben', 'cleo', 'dan'].map((person) => `${person}@users.test`);
  const list = await Greylist.start(t, { applies: (recipient) => recipient === grey, ms: 30_000 });
  const policy = [`check_policy_service inet:127.0.0.1:${list.port}`, 'permit_mynetworks', 'reject'];
  const relay = await PostfixRelay.start(t, { tls: 'none' }, { smtpd_recipient_restrictions: policy.join(', ') });
  const installation = await Installation.make(t, { relay: urlOf({ tls: 'none' }, relay.port) });
  const { client } = await installation.serve();

  const put = await refused({ client, installation }, grey, 'waiting');
  assert.equal(put.attempts, 1);
  assert.match(put.relayReply, /^450 4\.7\.1 .*Greylisted, come back later/);
  assert.equal((await client.send('GET', '/health')).body.status, 'ok', 'the relay works');

  for (const other of others) {
    assert.equal((await client.register(other, 'first password')).status, 200);
    await relay.mail(other);
  }
  assert.equal((await show(installation, put.id)).state, 'waiting', 'the others were not held up');

  const raw = await relay.mail(grey, 1, 180_000);
  const taken = await until('the letter to be sent', async () => {
    const letter = await show(installation, put.id);
    return letter.state === 'sent' && letter;
  });
  assert.equal(taken.attempts, 2);
  assert.match(taken.relayReply, /^250 2\.0\.0 Ok: queued as/);
  const [first, second, ...more] = list.triesOf(grey);
  assert.deepEqual(more, []);
  assert.ok(second - first >= 60_000, `came back after ${second - first} ms`);
  assert.equal(onlyLink((await parseMail(raw)).text).split('?')[0], `${installation.url}/confirm-email`);
}

/**
 * A relay that takes its time while a dozen people ask for a confirmation: their mail goes out in one go over a few connections once it
 * speaks, each once. Where the relay allows it, an envelope goes out behind the message before it.
 */
async function getsTheBacklog(t, Server, offer) {
  const { relay, tap, installation, client } = await start(t, Server, offer);
  const addresses = CROWD.map((person) => `${person}@users.test`);
  await importAccounts(installation, addresses);
  tap.hold();
  // Without a password to hash: a connection waits for half a minute to be greeted.
  const answers = await Promise.all(addresses.map((address) => client.askForConfirmation(address)));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  tap.release();
  await until('all letters to be sent', async () => (await installation.letters()).every(({ state }) => state === 'sent'), 180_000);
  assert.equal((await installation.letters()).length, CROWD.length);
  const links = new Set();
  for (const address of addresses) links.add(onlyLink((await parseMail(await relay.mail(address))).text));
  assert.equal(links.size, CROWD.length, 'a link of their own');
  checkWire(tap, offer, CROWD.length);
  assert.ok(tap.connections.length <= 10, `${tap.connections.length} connections`);
  if (offer.pipelining === false) assert.equal(tap.riding, 0);
  else assert.ok(tap.riding > 0, 'envelopes behind the dot');
}

describe('servers', { concurrency: 4 }, () => {
  test('Postfix that greylists gets the letter a minute later', isGreylisted);

  for (const { name, server, lacks } of MATRIX) {
    for (const [way, offer] of Object.entries(WAYS)) {
      if (!lacks(offer)) test(`${name} takes mail ${way}`, (t) => takesBothMails(t, server, offer));
    }
  }

  for (const { name, server } of MATRIX) {
    test(`${name} takes mail from a sender whose address is beyond ASCII`, (t) => takesSenderBeyondAscii(t, server));
  }
  test('Postfix without SMTPUTF8 gets no mail from such a sender, and no letter is lost by it', async (t) => {
    const setting = await start(t, PostfixRelay, { tls: 'none', utf8: false }, { from: BEYOND_ASCII });
    const letter = await refused(setting, NAME, 'waiting');
    assert.equal(letter.attempts, 0);
    assert.match(letter.lastError, /MAIL.*SMTPUTF8/);
    assert.doesNotMatch(setting.tap.sent, /^MAIL/m);
    assert.equal((await setting.client.send('GET', '/health')).body.status, 'degraded');
  });

  for (const [name, server, pipelining] of [
    ['Postfix', PostfixRelay, true],
    ['Exim', Exim, true],
    ['Exim', Exim, false],
    ['smtp-server', SmtpServer, true],
    ['aiosmtpd', Aiosmtpd, false],
  ]) {
    const way = pipelining ? 'with' : 'without';
    test(`${name} gets a backlog ${way} PIPELINING`, (t) => getsTheBacklog(t, server, { tls: 'none', pipelining }));
  }

  // All but Exim can be made to keep their limit to themselves. They then find out when they have the mail.
  for (const { name, server } of MATRIX) {
    test(`${name} is not sent a mail above the limit that it announces`, async (t) => {
      const setting = await start(t, server, { tls: 'none', pipelining: false, size: 1_000 });
      const letter = await refused(setting, NAME, 'dead');
      assert.match(letter.lastError, /larger than the 1000 bytes/);
      assert.equal(letter.relayReply, null);
      assert.doesNotMatch(setting.tap.sent, /^(MAIL|DATA)/m);
      assert.equal((await setting.client.send('GET', '/health')).body.status, 'ok');
    });
  }
  for (const { name, server } of MATRIX.filter(({ server }) => server !== Exim)) {
    test(`${name} refuses a mail above a limit that it keeps to itself`, async (t) => {
      const setting = await start(t, server, { tls: 'none', pipelining: false, size: 1_000, hideSize: true });
      const letter = await refused(setting, NAME, 'dead');
      assert.match(letter.lastError, /handing over the message.* 552/);
      assert.match(letter.relayReply, /^552\b/);
      assert.equal((await setting.client.send('GET', '/health')).body.status, 'ok');
    });
  }

  for (const { name, server } of MATRIX) {
    test(`${name} that refuses the login is at fault, and the password is not told`, async (t) => {
      const offer = { tls: 'starttls', login: 'PLAIN', pipelining: false };
      const setting = await start(t, server, offer, { password: 'wr0ng-secret' });
      const letter = await refused(setting, NAME, 'waiting');
      assert.equal(letter.attempts, 0);
      assert.match(letter.lastError, /AUTH.* 535/);
      assert.doesNotMatch(JSON.stringify(letter), /wr0ng-secret/);
      assert.equal((await setting.client.send('GET', '/health')).body.status, 'degraded');
    });
  }

  for (const [name, server, reply] of [
    ['Postfix', PostfixRelay, /^550 5\.1\.1 .*User unknown/],
    ['Exim', Exim, /^550 .*Unrouteable address/],
  ]) {
    test(`${name} does not know the recipient, and is believed`, async (t) => {
      const letter = await refused(await start(t, server, { tls: 'none' }), 'nobody@users.test', 'dead');
      assert.match(letter.relayReply, reply);
      assert.doesNotMatch(letter.relayReply + letter.lastError, /nobody@/);
    });
  }

  for (const [name, server, settings, reply] of [
    ['Postfix', PostfixRelay, {}, /^554 5\.7\.1 .*Relay access denied/],
    ['Postfix as it comes', PostfixRelay, { smtpd_relay_restrictions: 'defer_unauth_destination' }, /^454 4\.7\.1 .*Relay access denied/],
    ['Exim', Exim, undefined, /^550 relay not permitted/],
  ]) {
    test(`${name} that does not relay for us refuses nobody for good, and is paused`, async (t) => {
      const setting = await start(t, server, { tls: 'none' }, { settings });
      const { client, installation } = setting;
      const letter = await refused(setting, 'ada@elsewhere.test', 'waiting');
      assert.match(letter.relayReply, reply);
      assert.equal(letter.attempts, 1);
      for (const name of ['ben@nowhere.test', 'cleo@far-away.test']) {
        assert.equal((await client.register(name, 'first password')).status, 200);
      }
      await until('the relay to be paused', async () => (await client.send('GET', '/health')).body.status === 'degraded');
      // One may be tried just now.
      await until('all letters to wait', async () => (await installation.letters()).every(({ state }) => state === 'waiting'));
      assert.equal((await installation.letters()).length, 3);
    });
  }
});
