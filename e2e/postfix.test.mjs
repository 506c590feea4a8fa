// A real relay takes our mail over TLS after a login, and a parser that is not ours reads what arrived.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parseMail, tokenOf } from './lib/mail.mjs';
import { Postfix } from './lib/postfix.mjs';
import { Installation } from './lib/regain.mjs';

const ADDRESS = 'ada@users.test';

/** What every mail of ours must be, whatever it is for. */
function checkMail(mail) {
  assert.deepEqual(mail.defects, []);
  assert.equal(mail.type, 'multipart/alternative');
  assert.deepEqual(mail.parts, ['text/plain', 'text/html']);
  assert.deepEqual(mail.remote, [], 'nothing is fetched from elsewhere');
  assert.ok(mail.longestLine <= 998);
  const header = (name) => mail.headers.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);
  for (const name of ['from', 'to', 'subject', 'date', 'message-id', 'mime-version', 'content-type', 'auto-submitted']) {
    assert.equal(header(name).length, 1, `one ${name}`);
  }
  assert.equal(header('from')[0], 'Regain Test <noreply@regain.test>');
  assert.equal(header('to')[0], ADDRESS);
  assert.equal(header('auto-submitted')[0], 'auto-generated');
  assert.match(header('message-id')[0], /^<[^@<>\s]+@regain\.test>$/);
  assert.ok(Math.abs(Date.now() - Date.parse(header('date')[0])) < 120_000);
  assert.equal(header('return-path')[0], '<noreply@regain.test>');
}

/** The one link of text and HTML, the same in both. */
function onlyLinkOf(mail) {
  assert.equal(mail.textLinks.length, 1, mail.text);
  assert.deepEqual([...new Set(mail.htmlLinks)], mail.textLinks);
  return mail.textLinks[0];
}

for (const scheme of ['smtp', 'smtps']) {
  test(`Postfix takes both mails by ${scheme} with TLS and a login`, async (t) => {
    const postfix = await Postfix.start(t, [ADDRESS]);
    const relay = scheme === 'smtp' ? `${postfix.url}?requireTLS=true` : postfix.tlsUrl;
    const installation = await Installation.make(t, { relay });
    const env = { SSL_CERT_FILE: postfix.authorityFile };

    const check = await installation.run(['check', '--config', installation.file], { env });
    assert.equal(check.code, 0, check.stdout + check.stderr);

    const server = await installation.serve({ env });
    const { client, url } = server;
    // Using a link ends letters that are still under way, so each is waited for.
    const sent = (purpose) => installation.letter(purpose, 'sent', (letter) => letter.state === 'sent');
    assert.equal((await client.register(ADDRESS, 'first password')).status, 200);
    await sent('confirm');
    const confirmation = await parseMail(await postfix.mail(ADDRESS, 1));
    checkMail(confirmation);
    const link = onlyLinkOf(confirmation);
    assert.ok(link.startsWith(`${url}/confirm-email?token=`), link);
    assert.equal((await client.confirm(tokenOf(link))).status, 200);

    assert.equal((await client.askForReset(ADDRESS.toUpperCase())).status, 200);
    await sent('reset');
    const reset = await parseMail(await postfix.mail(ADDRESS, 2));
    checkMail(reset);
    const resetLink = onlyLinkOf(reset);
    assert.ok(resetLink.startsWith(`${url}/reset-password?token=`), resetLink);
    assert.match(reset.text, /127\.0\.0\.1/, 'says who asked');
    assert.match(reset.text, /1 hour/, 'says how long the link is good');
    assert.equal((await client.completeReset(tokenOf(resetLink), 'second password')).status, 200);
    assert.equal((await client.signIn(ADDRESS, 'second password')).status, 200);

    await sent('password_changed');
    const notice = await parseMail(await postfix.mail(ADDRESS, 3));
    checkMail(notice);
    assert.doesNotMatch(notice.text + notice.html, /[0-9a-f]{64}/, 'no token in the notice');

    const received = reset.headers.find(([name]) => name === 'Received')[1];
    assert.match(received, /TLSv1\.[23]/);
    assert.match(received, /Authenticated sender: mailer@regain\.test/);
    assert.match(received, /with ESMTPSA/);
    assert.ok(!server.output.includes(postfix.password) && !server.output.includes(encodeURIComponent(postfix.password)));
    assert.equal((await installation.letters()).length, 3);
  });
}

test('Postfix with a certificate that nobody vouches for gets no mail and no password', async (t) => {
  const postfix = await Postfix.start(t, [ADDRESS]);
  const installation = await Installation.make(t, { relay: `${postfix.url}?requireTLS=true` });
  const check = await installation.run(['check', '--config', installation.file]);
  assert.equal(check.code, 1, check.stdout);
  assert.match(check.stdout + check.stderr, /certificate/i);
  assert.ok(!(check.stdout + check.stderr).includes(postfix.password));

  const server = await installation.serve();
  assert.equal((await server.client.register(ADDRESS, 'first password')).status, 200);
  const letter = await installation.letter('confirm', 'held back', (l) => l.state === 'waiting' && l.lastError);
  assert.equal(letter.attempts, 0, 'the relay is at fault, not the letter');
  assert.doesNotMatch(await postfix.log(), /sasl_username|status=sent/);
});

test('a wrong relay password is the relay\'s fault and is told by `regain check`', async (t) => {
  const postfix = await Postfix.start(t, [ADDRESS]);
  const relay = `smtp://mailer%40regain.test:wr0ng-secret@localhost:${postfix.port}?requireTLS=true`;
  const installation = await Installation.make(t, { relay });
  const check = await installation.run(['check', '--config', installation.file], { env: { SSL_CERT_FILE: postfix.authorityFile } });
  assert.equal(check.code, 1);
  assert.match(check.stdout + check.stderr, /535/);
  assert.doesNotMatch(check.stdout + check.stderr, /wr0ng-secret/);
});
