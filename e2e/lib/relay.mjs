// Owns the scripted relay: an SMTP server that behaves well until a test tells it not to, and writes down every byte.
// Must not judge: what it saw is for the tests to assert.

import net from 'node:net';
import tls from 'node:tls';

import { until } from './wait.mjs';

/**
 * What a test may put into `relay.script[phase]`, for the phases `greeting`, `ehlo`, `starttls`, `auth`, `mail`, `rcpt`,
 * `data`, `dot`: a reply such as `'451 4.3.0 later'`; `SILENCE`, to read on but never answer; `DROP`, to reset the
 * connection; or a function of the session that answers one of these, or `undefined` for good behaviour.
 */
export const SILENCE = Symbol('silence');
export const DROP = Symbol('drop');

export class ScriptedRelay {
  /** `tls` is `{key, cert}` to offer STARTTLS; `auth` offers a login. With `relay.hangsUp` set it closes after each mail. */
  static async start(t, { tls: secure, auth = false } = {}) {
    const relay = new ScriptedRelay(secure, auth);
    await relay.listen();
    t.after(() => relay.refuse());
    return relay;
  }

  constructor(secure, auth) {
    Object.assign(this, { secure, auth, port: 0, script: {}, sessions: [], mails: [] });
  }

  /** Takes connections, on the same port each time. */
  async listen() {
    this.server = net.createServer((socket) => this.sessions.push(new Session(this, socket)));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
  }

  /** Refuses connections from now on, and cuts those there are. */
  async refuse() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const session of this.sessions) session.socket.destroy();
    await closed;
  }

  /** Behaves well again. */
  behave() {
    this.script = {};
  }

  get url() {
    return `smtp://127.0.0.1:${this.port}`;
  }

  /** All mails to that address it has taken responsibility for. */
  accepted(to) {
    return this.mails.filter((mail) => mail.accepted && mail.to.includes(to));
  }

  /** Waits for the accepted mail number `count` to that address. */
  mail(to, { count = 1, ms } = {}) {
    return until(`mail number ${count} to ${to}`, () => this.accepted(to)[count - 1], ms);
  }

  /** Waits until some session has sent a command that begins so; answers that session. */
  command(prefix, { from = 0, ms } = {}) {
    const has = (session) => session.commands.some((line) => line.startsWith(prefix));
    return until(`the command ${prefix}`, () => this.sessions.slice(from).find(has), ms);
  }
}

/** One connection. `commands` are the lines received, `received` all bytes, `body` a message as far as it came. */
class Session {
  constructor(relay, socket) {
    Object.assign(this, { relay, socket, commands: [], received: '', pending: '', collecting: false, closed: false });
    this.envelope = { from: undefined, to: [] };
    this.encrypted = false;
    this.turn = this.act('greeting', '220 relay.test ESMTP');
    this.attach(socket);
  }

  attach(socket) {
    socket.setNoDelay(true);
    // Latin-1 keeps bytes as they are, one character each.
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      this.received += text;
      this.pending += text;
      this.turn = this.turn.then(() => this.work());
    });
    socket.on('error', () => {}); // A reset is one of the things that happen here; `close` follows.
    socket.on('close', () => (this.closed = true));
  }

  /** Handles what is complete of what has come. */
  async work() {
    while (!this.closed && !this.silent) {
      const mark = this.collecting ? '\r\n.\r\n' : '\r\n';
      // A message without a line ends with its very first one, a dot.
      const isEmpty = this.collecting && this.pending.startsWith('.\r\n');
      const end = isEmpty ? 0 : this.pending.indexOf(mark);
      if (end < 0) return;
      const piece = this.pending.slice(0, end);
      this.pending = this.pending.slice(end + (isEmpty ? 3 : mark.length));
      if (this.collecting) await this.message(piece);
      else await this.command(piece);
    }
  }

  async command(line) {
    this.commands.push(line);
    const verb = line.split(/[ :]/, 1)[0].toUpperCase();
    switch (verb) {
      case 'EHLO':
        return this.act('ehlo', this.greeting());
      case 'STARTTLS':
        return this.startTls();
      case 'AUTH':
        return this.login(line);
      case 'MAIL':
        this.envelope = { from: undefined, to: [] };
        if (await this.act('mail', '250 2.1.0 ok')) this.envelope.from = /<(.*?)>/.exec(line)?.[1];
        return;
      case 'RCPT':
        if (this.envelope.from === undefined) return this.say('503 5.5.1 MAIL first');
        if (await this.act('rcpt', '250 2.1.5 ok')) this.envelope.to.push(/<(.*?)>/.exec(line)?.[1]);
        return;
      case 'DATA':
        if (this.envelope.to.length === 0) return this.say('554 5.5.1 no valid recipients');
        this.collecting = await this.act('data', '354 go on', /^354/);
        return;
      case 'RSET':
        this.envelope = { from: undefined, to: [] };
        return this.say('250 2.0.0 ok');
      case 'NOOP':
        return this.say('250 2.0.0 ok');
      case 'QUIT':
        this.say('221 2.0.0 bye');
        return this.socket.end();
      default:
        return this.login(line);
    }
  }

  greeting() {
    const lines = ['relay.test', 'PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SIZE 10485760'];
    if (this.relay.secure && !this.encrypted) lines.push('STARTTLS');
    if (this.relay.auth) lines.push('AUTH PLAIN LOGIN');
    return lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}`).join('\r\n');
  }

  /** Takes any login, in one line or asked for piece by piece. */
  async login(line) {
    const [verb, mechanism, initial] = line.split(' ');
    if (verb.toUpperCase() === 'AUTH') {
      this.steps = { PLAIN: [''], LOGIN: ['VXNlcm5hbWU6', 'UGFzc3dvcmQ6'] }[mechanism.toUpperCase()] ?? [];
      if (initial !== undefined) this.steps.shift();
    } else if (!this.steps) {
      return this.say('500 5.5.2 unknown command');
    }
    const challenge = this.steps.shift();
    if (challenge !== undefined) return this.say(`334 ${challenge}`);
    this.steps = undefined;
    await this.act('auth', '235 2.7.0 welcome');
  }

  async message(body) {
    this.collecting = false;
    const raw = Buffer.from(`${body}\r\n`.replace(/(^|\r\n)\./g, '$1'), 'latin1');
    const mail = { ...this.envelope, raw, accepted: false, session: this };
    this.relay.mails.push(mail);
    mail.accepted = await this.act('dot', '250 2.0.0 queued');
    if (this.relay.hangsUp) {
      this.closed = true;
      this.socket.end();
    }
  }

  async startTls() {
    const proceed = await this.act('starttls', '220 2.0.0 go on', /^220/);
    if (!proceed) return;
    this.pending = '';
    this.commands.push('(TLS)');
    const plain = this.socket;
    plain.removeAllListeners('data');
    this.socket = new tls.TLSSocket(plain, { isServer: true, ...this.relay.secure });
    this.encrypted = true;
    this.attach(this.socket);
  }

  /** Does what the script says for a phase, else answers `usual`. True where the reply was a positive one. */
  async act(phase, usual, positive = /^2/) {
    const scripted = this.relay.script[phase];
    const reply = (typeof scripted === 'function' ? await scripted(this) : scripted) ?? usual;
    if (reply === SILENCE) {
      this.silent = true;
      return false;
    }
    if (reply === DROP) {
      this.closed = true;
      this.socket.resetAndDestroy?.() ?? this.socket.destroy();
      return false;
    }
    this.say(reply);
    if (/^421/.test(reply)) this.socket.end();
    return positive.test(reply);
  }

  say(reply) {
    if (!this.socket.destroyed) this.socket.write(`${reply}\r\n`);
  }
}
