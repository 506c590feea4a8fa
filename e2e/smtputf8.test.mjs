// Addresses with letters beyond ASCII before their @ (RFC 6531): mail arrives where the relay takes them, and where it does
// not, the operator is told.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { checkSignatures, makeKey } from './lib/dkim.mjs';
import { onlyLink, parseMail, tokenOf } from './lib/mail.mjs';
import { temporaryDirectory } from './lib/place.mjs';
import { Postfix } from './lib/postfix.mjs';
import { Installation } from './lib/regain.mjs';
import { ScriptedRelay } from './lib/relay.mjs';

const NAME = 'jõgeva@users.test';
const IN_THE_CLEAR = {
  smtpd_tls_security_level: 'none',
  smtpd_sasl_auth_enable: 'no',
  mynetworks: '127.0.0.0/8',
  smtpd_relay_restrictions: 'permit_mynetworks, reject',
  smtpd_recipient_restrictions: 'permit_mynetworks, reject',
};

/** What the operator is shown of the one letter of that purpose, once it has ended. */
async function ended(installation, purpose, state) {
  const { id } = await installation.letter(purpose, state, (letter) => letter.state === state);
  const { code, stdout, stderr } = await installation.run(['outbox', 'show', id, '--json', '--config', installation.file]);
  assert.equal(code, 0, stderr);
  return stdout;
}

for (const from of ['noreply@regain.test', 'märkmed@regain.test']) {
  test(`Postfix takes mail from ${from} to an address beyond ASCII, its signature holds, and its link works`, async (t) => {
    const postfix = await Postfix.start(t, [NAME], { settings: IN_THE_CLEAR });
    const relay = `smtp://localhost:${postfix.port}?ignoreTLS=true`;
    const file = join(await temporaryDirectory(), 'dkim.pem');
    await makeKey(file, 'genrsa', '3072');
    const dkim = { domainName: 'regain.test', keySelector: 'main', privateKey: { file } };
    const installation = await Installation.make(t, { relay, mail: { from: `"Märkmed" <${from}>`, dkim } });
    const [{ name, value }] = JSON.parse((await installation.run(['mail', 'dkim-record', '--json'])).stdout);
    const { client } = await installation.serve();
    assert.equal((await client.register(NAME, 'first password')).status, 200);
    await ended(installation, 'confirm', 'sent');
    const raw = await postfix.mail(NAME, 1);
    assert.match(raw.toString('utf8'), /^Received: .*\n(\s.*\n)*\s+.*with UTF8SMTP/m);
    const mail = await parseMail(raw);
    const header = (name) => mail.headers.filter(([n]) => n === name).map(([, value]) => value);
    assert.deepEqual(header('To'), [NAME]);
    assert.deepEqual(header('From'), [`Märkmed <${from}>`]);
    assert.deepEqual(mail.defects, []);
    const signature = [{ domain: 'regain.test', selector: 'main', algorithm: 'rsa-sha256', ok: true }];
    assert.deepEqual(await checkSignatures(raw, { [name]: value }), { dkimpy: signature, mailauth: signature });
    assert.equal((await client.confirm(tokenOf(onlyLink(mail.text)))).status, 200);
    assert.equal((await client.signIn(NAME, 'first password')).status, 200);
  });
}

test('a relay without SMTPUTF8 gets no such letter, others arrive, and the outbox says why', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: `smtp://127.0.0.1:${relay.port}` });
  const server = await installation.serve();
  const { client } = server;
  assert.equal((await client.register(NAME, 'first password')).status, 200);
  const shown = await ended(installation, 'confirm', 'dead');
  assert.match(shown, /SMTPUTF8/);
  assert.equal(relay.mails.length, 0);
  assert.equal((await client.register('ada@users.test', 'first password')).status, 200);
  await relay.mail('ada@users.test');
  assert.doesNotMatch(server.output, /geva/);
});

test('a sender that the relay cannot take rests the relay, and no letter is given up for it', async (t) => {
  const relay = await ScriptedRelay.start(t);
  const installation = await Installation.make(t, { relay: `smtp://127.0.0.1:${relay.port}`, mail: { from: 'märkmed@regain.test' } });
  const { client } = await installation.serve();
  assert.equal((await client.register('ada@users.test', 'first password')).status, 200);
  const letter = await installation.letter('confirm', 'put off', ({ lastError }) => /SMTPUTF8/.test(lastError ?? ''));
  assert.equal(letter.state, 'waiting');
  assert.equal(relay.mails.length, 0);
});
