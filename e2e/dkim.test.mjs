// Signatures that others can check: mails as real relays keep them, the records as `regain mail dkim-record` prints them,
// and two libraries that did not make the signatures.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { domainToASCII } from 'node:url';

import { checkSignatures, makeKey } from './lib/dkim.mjs';
import { onlyLink, parseMail, tokenOf } from './lib/mail.mjs';
import { temporaryDirectory } from './lib/place.mjs';
import { Installation } from './lib/regain.mjs';
import { urlOf } from './lib/servers/offer.mjs';
import { PostfixRelay } from './lib/servers/postfix.mjs';
import { Sink } from './lib/servers/sink.mjs';

const NAME = 'ada@users.test';
const DOMAIN = 'grüße.test';
const SELECTORS = ['rsa-2027', 'ed25519-2027'];

/** Texts that a relay, or a canonical form, could trip over: dots, white space, empty lines, letters beyond ASCII. */
const LINES = ['.', '..', '.hidden', 'From here on', 'two  spaces\tand a tab \t', '', '', `long ${'x'.repeat(1_200)}`, 'Grüße, 你好'];
const CONFIRMATION = {
  subject: 'Bestätigen Sie Ihre Adresse für Müßiggänger 🦉 und noch ein sehr langer Betreff, der gefaltet werden muss',
  textTemplate: `${LINES.join('\n')}\n%BASE_URL%/confirm-email?token=%TOKEN%\n\n\n`,
  htmlTemplate: `<p>${LINES.join('<br>\n')}</p>\n<p><a href="%BASE_URL%/confirm-email?token=%TOKEN%">Bestätigen</a></p>\n.\n`,
};

const RELAYS = {
  'smtp-sink': async (t) => {
    const sink = await Sink.start(t);
    return { url: `smtp://127.0.0.1:${sink.port}?ignoreTLS=true`, mail: async (address) => (await sink.mail(address)).raw };
  },
  Postfix: async (t) => {
    const relay = await PostfixRelay.start(t, { tls: 'none' });
    return { url: urlOf({ tls: 'none' }, relay.port), mail: (address) => relay.mail(address, 1) };
  },
};

/** An installation that signs with an RSA and an Ed25519 key, and what it says belongs into DNS. */
async function signing(t, relay, mail = {}) {
  const keys = await temporaryDirectory();
  const files = SELECTORS.map((selector) => join(keys, `${selector}.pem`));
  await makeKey(files[0], 'genrsa', '-traditional', '2048');
  await makeKey(files[1], 'genpkey', '-algorithm', 'ed25519');
  const dkim = {
    keys: SELECTORS.map((keySelector, index) => ({ domainName: DOMAIN, keySelector, privateKey: { file: files[index] } })),
  };
  const from = `"Jürgen Müßig" <noreply@${DOMAIN}>`;
  const installation = await Installation.make(t, { relay: relay.url, mail: { from, dkim, ...mail } });
  const { code, stdout, stderr } = await installation.run(['mail', 'dkim-record', '--json', '--config', installation.file]);
  assert.equal(code, 0, stderr);
  const records = JSON.parse(stdout);
  for (const { type, value, strings } of records) {
    assert.equal(type, 'TXT');
    assert.equal(strings.join(''), value);
    assert.ok(strings.every((string) => string.length <= 255));
  }
  return { installation, records: Object.fromEntries(records.map(({ name, value }) => [name, value])) };
}

/** All signatures hold, or none does, by the word of both libraries. */
async function checkAll(raw, records, ok) {
  const domain = domainToASCII(DOMAIN);
  const expected = ['rsa-sha256', 'ed25519-sha256'].map((algorithm, index) => ({ domain, selector: SELECTORS[index], algorithm, ok }));
  const said = await checkSignatures(raw, records);
  assert.deepEqual(said, { dkimpy: expected, mailauth: expected }, raw.toString('latin1'));
}

/** The mail with the first `from` replaced, in which it must be. */
function changed(raw, from, to) {
  const text = raw.toString('latin1');
  assert.match(text, from);
  return Buffer.from(text.replace(from, to), 'latin1');
}

for (const [name, start] of Object.entries(RELAYS)) {
  test(`both signatures hold in what ${name} keeps, and in nothing that was changed`, async (t) => {
    const relay = await start(t);
    const { installation, records } = await signing(t, relay, { confirmActionConfig: CONFIRMATION });
    const { client } = await installation.serve();
    assert.equal((await client.register(NAME, 'first password')).status, 200);
    const raw = await relay.mail(NAME);
    await checkAll(raw, records, true);

    const signature = raw.toString('latin1').match(/^DKIM-Signature: .*(\r?\n[ \t].*)*/gm);
    assert.equal(signature.length, 2);
    for (const line of signature.join('\n').split(/\r?\n/)) assert.ok(line.length <= 78, line);
    assert.doesNotMatch(signature.join('\n'), /\b[lx]=/);
    const mail = await parseMail(raw);
    const posted = Date.parse(mail.headers.find(([header]) => header === 'Date')[1]) / 1000;
    for (const one of signature) assert.match(one, new RegExp(`\\bt=${posted};`), 'the time is that of the Date');
    assert.equal(mail.headers.find(([header]) => header === 'Subject')[1], CONFIRMATION.subject);
    assert.ok(tokenOf(onlyLink(mail.text)));

    await checkAll(changed(raw, /\.hidden/, '.hiddem'), records, false);
    await checkAll(changed(raw, /(token=3?D?[0-9a-f])/, '$1f'), records, false);
    await checkAll(changed(raw, /^Date: \w+/m, 'Date: Xyz'), records, false);
    await checkAll(changed(raw, /^(Subject: )/m, 'Subject: another\n$1'), records, false);
    await checkAll(changed(raw, /^(From: )/m, 'From: eve@example.com\n$1'), records, false);
    await checkAll(raw, (await signing(t, relay)).records, false);
  });
}
