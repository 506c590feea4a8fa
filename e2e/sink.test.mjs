// What becomes of a letter when Postfix' smtp-sink fails at one command: the four ways in which it can fail, at each
// command of a session (design, section 8). Afterwards the relay works again, on the same port, and the letter must go
// out unless it was refused for good.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { parseMail, onlyLink } from './lib/mail.mjs';
import { Installation } from './lib/regain.mjs';
import { Sink } from './lib/servers/sink.mjs';
import { until } from './lib/wait.mjs';

/** The relay is at fault: the letter waits and is charged nothing. */
const held = (error) => ({ state: 'waiting', attempts: 0, lastError: error });
/** The letter is put off and charged an attempt; `reply` is what the relay said, where it said something. */
const later = (error, reply) => ({ state: 'waiting', attempts: 1, lastError: error, reply });
/** The same, but not before a minute has passed. */
const muchLater = (error, reply) => ({ ...later(error, reply), isGreylisted: true });
/** The letter is refused for good. */
const dead = (error, reply) => ({ state: 'dead', attempts: 1, lastError: error, reply });
/** The letter is delivered all the same. */
const sent = { state: 'sent', attempts: 1, reply: /^250 2\.0\.0 Ok/ };

const SOFT = /^450 4\.3\.0 Error: command failed/;
const HARD = /^500 5\.3\.0 Error: command failed/;

/** For each command: the options of smtp-sink, and what the operator sees then. */
const FAULTS = {
  connect: [
    [['-r', 'connect'], held(/greeting.* 450 4\.3\.0/)],
    [['-f', 'connect'], held(/greeting.* 500 5\.3\.0/)],
    [['-q', 'connect'], held(/greeting.*closed/)],
    [['-Q', 'connect'], held(/greeting.* 421 4\.0\.0/)],
  ],
  EHLO: [
    [['-r', 'ehlo'], held(/EHLO.* 450 4\.3\.0/)],
    [['-f', 'ehlo'], sent],
    [['-f', 'ehlo,helo'], held(/EHLO.* 500 5\.3\.0/)],
    [['-f', 'ehlo', '-q', 'helo'], held(/EHLO.*closed/)],
    [['-q', 'ehlo'], held(/EHLO.*closed/)],
    [['-Q', 'ehlo'], held(/EHLO.* 421 4\.0\.0/)],
  ],
  AUTH: [
    [['-r', 'auth'], held(/AUTH.* 450 4\.3\.0/)],
    [['-f', 'auth'], held(/AUTH.* 500 5\.3\.0/)],
    [['-f', 'auth', '-B', '535 5.7.8 wrong password'], held(/AUTH.* 535 5\.7\.8/)],
    [['-q', 'auth'], held(/AUTH.*closed/)],
    [['-Q', 'auth'], held(/AUTH.* 421 4\.0\.0/)],
    [['-a'], held(/AUTH.*offers none of AUTH PLAIN/)],
    [['-f', 'ehlo'], held(/EHLO.* 500 5\.3\.0/)],
  ],
  MAIL: [
    [['-r', 'mail'], held(/MAIL.* 450 4\.3\.0/)],
    [['-f', 'mail'], held(/MAIL.* 500 5\.3\.0/)],
    [['-q', 'mail'], held(/MAIL.*closed/)],
    [['-Q', 'mail'], held(/MAIL.* 421 4\.0\.0/)],
    [['-f', 'mail', '-B', '552 5.3.4 too large'], dead(/MAIL.* 552 5\.3\.4/, /^552 5\.3\.4 too large/)],
  ],
  RCPT: [
    [['-r', 'rcpt'], muchLater(/RCPT.* 450 4\.3\.0/, SOFT)],
    [['-r', 'rcpt', '-b', '432 4.3.2 not now'], later(/RCPT.* 432 4\.3\.2/, /^432 4\.3\.2 not now/)],
    [['-f', 'rcpt'], dead(/RCPT.* 500 5\.3\.0/, HARD)],
    [['-f', 'rcpt,rset'], dead(/RCPT.* 500 5\.3\.0/, HARD)],
    [['-f', 'rcpt', '-q', 'rset'], dead(/RCPT.* 500 5\.3\.0/, HARD)],
    [['-f', 'rcpt', '-B', '550 5.7.1 relaying denied'], later(/RCPT.* 550 5\.7\.1/, /^550 5\.7\.1 relaying denied/)],
    [['-f', 'rcpt', '-B', '530 5.7.0 log in first'], later(/RCPT.* 530 5\.7\.0/, /^530 5\.7\.0 log in first/)],
    [['-q', 'rcpt'], later(/RCPT.*closed/)],
    [['-Q', 'rcpt'], held(/RCPT.* 421 4\.0\.0/)],
  ],
  DATA: [
    [['-r', 'data'], held(/DATA.* 450 4\.3\.0/)],
    [['-f', 'data'], held(/DATA.* 500 5\.3\.0/)],
    [['-q', 'data'], later(/DATA.*closed/)],
    [['-Q', 'data'], held(/DATA.* 421 4\.0\.0/)],
  ],
  'the final dot': [
    [['-r', '.'], muchLater(/message.* 450 4\.3\.0/, SOFT)],
    [['-f', '.'], dead(/message.* 500 5\.3\.0/, HARD)],
    [['-q', '.'], later(/message.*closed/)],
    [['-Q', '.'], later(/message.* 421 4\.0\.0/, /^421 4\.0\.0/)],
  ],
  QUIT: [
    [['-r', 'quit'], sent],
    [['-f', 'quit'], sent],
    [['-q', 'quit'], sent],
    [['-Q', 'quit'], sent],
  ],
};

/** Ways of being an SMTP server that are no faults. */
const PECULIAR = [
  [],
  ['-p'],
  ['-8'],
  ['-p', '-8', '-a', '-E', '-N', '-C', '-F'],
  ['-e'],
  ['-P'],
  ['-w', '1'],
  ['-W', '.:1'],
  ['-W', 'connect:1'],
  ['-H', '1', '-T', '1024'],
  ['-t', '2'],
];

async function start(t, login = '') {
  const sink = await Sink.start(t);
  const installation = await Installation.make(t, { relay: `smtp://${login}localhost:${sink.port}` });
  const { client } = await installation.serve();
  return { sink, installation, client };
}

/** Waits until the letter to `address` meets `test`, and answers it. */
function letterTo(installation, address, what, test) {
  return until(`a letter to ${address} that is ${what}`, async () => {
    const { stdout } = await installation.run(['outbox', 'list', '--json', '--reveal', '--config', installation.file]);
    const letters = JSON.parse(stdout).filter(({ to }) => to === address);
    if (letters.length === 1 && test(letters[0])) return letters[0];
    throw new Error(JSON.stringify(letters));
  });
}

/** Waits for the verdict on the one letter to `address` and holds it against what was expected. */
async function judged(installation, address, { state, attempts, lastError, reply, isGreylisted }) {
  const letter = await letterTo(installation, address, state, (l) => l.state === state && (l.lastError || state === 'sent'));
  assert.equal(letter.attempts, attempts);
  if (lastError) assert.match(letter.lastError, lastError);
  if (reply) assert.match(letter.relayReply, reply);
  else assert.equal(letter.relayReply, null);
  if (attempts === 1 && state === 'waiting') {
    const wait = Date.parse(letter.due) - Date.parse(letter.posted);
    assert.ok(isGreylisted ? wait >= 60_000 : wait < 50_000, `due ${wait} ms after it was posted`);
  }
  return letter;
}

async function fails(t, { sink, installation, client }, options, expected, address) {
  await sink.run(options);
  assert.equal((await client.register(address, 'first password')).status, 200);
  const letter = await judged(installation, address, expected);
  await sink.run();
  if (expected.state === 'waiting') {
    // An operator need not wait out a minute of greylisting.
    if (expected.isGreylisted) {
      const retry = await installation.run(['outbox', 'retry', letter.id, '--config', installation.file]);
      assert.equal(retry.code, 0, retry.stderr);
    }
    const delivered = await letterTo(installation, address, 'sent', (l) => l.state === 'sent');
    assert.equal(delivered.attempts, expected.attempts + 1);
    assert.match(delivered.relayReply, sent.reply);
  }
  if (expected.state !== 'dead') await isWhole(sink, address);
}

async function isWhole(sink, address) {
  const { proto, raw } = await sink.mail(address);
  const mail = await parseMail(raw);
  assert.deepEqual(mail.defects, []);
  assert.deepEqual(mail.parts, ['text/plain', 'text/html']);
  assert.deepEqual([...new Set(mail.htmlLinks)], [onlyLink(mail.text)]);
  return proto;
}

describe('smtp-sink', { concurrency: 4 }, () => {
  for (const [command, rows] of Object.entries(FAULTS)) {
    test(`that fails at ${command}`, async (t) => {
      const setting = await start(t, command === 'AUTH' ? 'mailer:t0p-secret@' : '');
      for (const [i, [options, expected]] of rows.entries()) {
        await t.test(options.join(' '), () => fails(t, setting, options, expected, `ada@row${i}.test`));
      }
    });
  }

  test('that is peculiar but no failure', async (t) => {
    const { sink, installation, client } = await start(t);
    for (const [i, options] of PECULIAR.entries()) {
      await t.test(options.join(' ') || 'without options', async () => {
        const address = `ada@row${i}.test`;
        await sink.run(options);
        assert.equal((await client.register(address, 'first password')).status, 200);
        await judged(installation, address, { ...sent, reply: /^250\b/ });
        const plain = options.includes('-e') || options.includes('-P');
        assert.equal(await isWhole(sink, address), plain ? 'SMTP' : 'ESMTP');
      });
    }
  });
});
