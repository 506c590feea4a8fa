// Owns a load of requests of every kind on equal processes while something happens to their database, and the books of it:
// what each client was told, against what the database and the mails hold afterwards.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';

import { importAccounts, inParallel, names, PASSWORD } from './accounts.mjs';
import { brokenInvariants, sql, value } from './database.mjs';
import { Received } from './ledger.mjs';
import { tokenIn } from './mail.mjs';
import { inTurn } from './processes.mjs';
import { pause, until } from './wait.mjs';

/** No answer may take longer, whatever happens to the database: two waits of five seconds, and what a busy machine adds. */
const LONGEST = 25_000;
/** So many of each kind are looked at through the program as well, not in the database alone: a password costs its time. */
const SOME = 25;
/** Two that want the same token. */
const RIVALS = ['the password of one', 'the password of the other'];

/** What an answer may be, beside 503, while the database is in trouble. The token of a `complete` may have another winner. */
const USUAL = { reset: [200], confirm: [200], register: [200], complete: [200, 403], link: [200], signIn: [200] };

export class Load {
  /** Brings accounts in and starts the processes. `installations` are equal; `relay` is where they deliver. */
  static async start(t, installations, relay) {
    const load = new Load(t, installations, relay);
    t.after(() => (load.isOver = true));
    const [first] = installations;
    await importAccounts(first, [...load.left.reset, ...load.left.confirm, ...load.signers]);
    load.servers = await Promise.all(installations.map((one) => one.serve()));
    for (const server of load.servers) server.ended.then((how) => (load.ended = how));
    return load;
  }

  constructor(t, installations, relay) {
    Object.assign(this, { t, installations, relay });
    this.received = new Received(relay);
    this.next = inTurn(installations);
    this.left = { reset: names(4000, 'reset'), confirm: names(800, 'confirm'), register: names(800, 'new') };
    this.signers = names(10, 'signer');
    /** Each request that was answered: `{kind, status, at, ms}`. */
    this.answers = [];
    /** Of each kind the outcome for each name: `kept`, `refused`, or `unknown` where nobody promised anything. */
    this.outcomes = { reset: new Map(), confirm: new Map(), register: new Map(), link: new Map() };
    /** What the rivals for the token of each name were told. */
    this.told = new Map();
    this.isOver = false;
    this.disturbed = [];
  }

  /** Lets that many clients begin, and waits until there is something to keep. */
  async begin(clients = 6) {
    this.clients = Array.from({ length: clients }, () => this.work());
    await until('mails and links that were used', () => this.kept('reset').length >= 20 && this.told.size >= 2, 180_000);
  }

  kept(kind) {
    return [...this.outcomes[kind]].filter(([, outcome]) => outcome === 'kept').map(([name]) => name);
  }

  async work() {
    while (!this.isOver) {
      const dice = randomInt(100);
      if (dice < 50) await this.askForReset();
      else if (dice < 62) await this.askFor('confirm', (client, name) => client.askForConfirmation(name));
      else if (dice < 68) await this.askFor('register', (client, name) => client.register(name, PASSWORD));
      else if (dice < 76) await this.complete();
      else if (dice < 86) await this.follow();
      else await this.ask('signIn', (client) => client.signIn(this.signers[randomInt(this.signers.length)], PASSWORD));
      await pause(randomInt(10, 60));
    }
  }

  /** Sends one request and writes down what came back and when. Answers what that promises. */
  async ask(kind, send, client = this.next()) {
    const at = performance.now();
    const answer = await send(client).catch((error) => ({ error: error.cause?.code ?? error.message }));
    const retryAfter = Number(answer.headers?.get('retry-after'));
    this.answers.push({ kind, status: answer.status, error: answer.error, code: answer.body?.code, retryAfter, at, ms: performance.now() - at });
    if (answer.status === 200) return 'kept';
    return answer.status >= 400 && answer.status < 500 ? 'refused' : 'unknown';
  }

  async askFor(kind, send) {
    const name = this.left[kind].shift();
    if (!name) return undefined;
    const outcome = await this.ask(kind, (client) => send(client, name));
    this.outcomes[kind].set(name, outcome);
    return outcome;
  }

  askForReset() {
    return this.askFor('reset', (client, name) => client.askForReset(name));
  }

  /** A mail that has arrived at a name of that kind, for which nothing is in `done` yet. */
  arrived(prefix, done) {
    for (const [name, [{ raw }]] of this.received.byName) {
      if (name.startsWith(prefix) && !done.has(name)) return { name, token: tokenIn(raw) };
    }
    return undefined;
  }

  /** Two clients complete a reset with the same token, at two processes. */
  async complete() {
    const mail = this.arrived('reset', this.told);
    if (!mail) return;
    this.told.set(mail.name, undefined);
    const both = RIVALS.map((password) => this.ask('complete', (client) => client.completeReset(mail.token, password)));
    this.told.set(mail.name, { token: mail.token, outcomes: await Promise.all(both) });
  }

  /** Follows a link that confirms an address. */
  async follow() {
    const mail = this.arrived('confirm', this.outcomes.link) ?? this.arrived('new', this.outcomes.link);
    if (!mail) return;
    this.outcomes.link.set(mail.name, 'unknown');
    this.outcomes.link.set(mail.name, await this.ask('link', (client) => client.confirm(mail.token)));
  }

  /** Lets something happen, and remembers when. */
  async disturb(work) {
    const window = { from: performance.now(), to: Infinity };
    this.disturbed.push(window);
    const value = await work();
    window.to = performance.now();
    window.took = window.to - window.from;
    return value;
  }

  /** Waits until so many who have asked since `from` are refused: while something happens, not only when it is over. */
  refuses(count, from = this.disturbed.at(-1).from) {
    return until('requests to be refused', () => this.answers.filter(({ at, status }) => at > from && status === 503).length >= count);
  }

  /** Waits until each process works again, within `ms`, and sees that it goes on doing so. No process was started anew. */
  async recovers(ms = 40_000) {
    const begun = performance.now();
    const some = (count) => Array.from({ length: count }, () => this.left.reset.pop());
    const works = async (client) => {
      const name = some(1)[0];
      const outcome = await this.ask('reset', () => client.askForReset(name));
      this.outcomes.reset.set(name, outcome);
      return outcome === 'kept' && (await this.ask('signIn', () => client.signIn(this.signers[0], PASSWORD))) === 'kept';
    };
    const clients = this.installations.map(() => this.next());
    await Promise.all(clients.map((client) => until('a process to work again', () => works(client), ms)));
    this.recoveredIn = performance.now() - begun;
    // So long was it out of order.
    this.disturbed.at(-1).to = performance.now();
    const from = performance.now();
    await Promise.all(clients.map((client) => inParallel(some(40), 2, async (name) => {
      this.outcomes.reset.set(name, await this.ask('reset', () => client.askForReset(name)));
    })));
    const failed = this.answers.filter(({ at, status }) => at >= from && status !== 200 && status !== 403);
    assert.deepEqual(failed, [], 'it works again, and then fails');
    assert.equal(this.ended, undefined, 'no process has ended');
  }

  /** Ends the load; then all books must balance. `copies` is how often in all a mail may have gone out once more. */
  async balances({ copies = 0, drainedIn = 300_000 } = {}) {
    await until('everything to be done at least once', () => this.hasDoneAll(), 180_000);
    this.isOver = true;
    await Promise.all(this.clients);
    const { t, received } = this;
    const { database } = this.installations[0];
    const begun = performance.now();
    const drained = () => until('the outbox to drain', async () => (await value(database, 'SELECT sum(open) FROM outbox')) === 0, drainedIn);
    await drained();
    const by = (status) => this.answers.filter((answer) => answer.status === status).length;
    const slowest = Math.max(...this.answers.map(({ ms }) => ms));
    t.diagnostic(`answers: ${by(200)} × 200, ${by(503)} × 503, ${by(403)} × 403, the slowest after ${slowest.toFixed(0)} ms; worked again after ${this.recoveredIn.toFixed(0)} ms`);
    t.diagnostic(`mails: ${received.byId.size}; tokens with rivals: ${this.told.size}; drained in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    this.judgeAnswers();
    await this.judgeMails(database, copies);
    await this.judgeAccounts(database);
    await this.judgeTokens();
    await drained();
    assert.deepEqual(await brokenInvariants(database), {});
    assert.equal(this.ended, undefined, 'no process has ended');
    for (const server of this.servers) assert.equal((await server.stop()).code, 0);
  }

  /** Whether somebody has signed up, followed a link and won a token: there is something to judge of each. */
  hasDoneAll() {
    const hasWon = [...this.told.values()].some(({ outcomes }) => outcomes.includes('kept'));
    return this.kept('register').length > 0 && this.kept('link').length > 0 && hasWon;
  }

  judgeAnswers() {
    const odd = this.answers.filter(({ kind, status, retryAfter }) => !USUAL[kind].includes(status) && !(status === 503 && retryAfter > 0));
    assert.deepEqual(odd, [], 'what is not done is 503 with Retry-After');
    const calm = this.answers.filter(({ at, ms, status }) => status === 503 && !this.disturbed.some(({ from, to }) => at + ms >= from && at <= to + 10_000));
    assert.deepEqual(calm, [], 'nothing is refused while nothing happens');
    assert.deepEqual(this.answers.filter(({ ms }) => ms > LONGEST), [], 'each answer comes in time');
  }

  /** The status of a request that is sent until it is another one than 503, which says nothing of a password or a token. */
  status(send) {
    return until('an answer', async () => {
      const { status } = await send(this.next());
      return status !== 503 && status;
    });
  }

  /**
   * Whether something that happened between two moments went on for longer than a lease may have left, which is renewed every
   * ten seconds: on a slow disk it takes PostgreSQL that long to recover. What had no answer then may go out once more.
   */
  outlivedLease(first, last) {
    return this.disturbed.some(({ from, to, took }) => took > 20_000 && to >= first && from <= last);
  }

  async judgeMails(database, allowed) {
    const letters = new Map();
    for (const letter of await sql(database, `SELECT name_key, purpose, state, attempts, last_error FROM letters WHERE purpose <> 'password_changed'`)) {
      assert.ok(!letters.has(letter.name_key), `two letters for ${letter.name_key}`);
      letters.set(letter.name_key, letter);
    }
    for (const kind of ['reset', 'confirm', 'register']) {
      for (const name of this.kept(kind)) {
        const letter = letters.get(name);
        // A link may be used before it is written down that its mail went out.
        const isUsed = this.told.has(name) || this.outcomes.link.has(name);
        assert.ok(letter?.state === 'sent' || (letter?.state === 'superseded' && isUsed), `${name}: ${JSON.stringify(letter)}`);
        assert.ok(this.received.to(name).length >= 1, `no mail to ${name}`);
      }
    }
    let copies = 0;
    for (const mail of this.received.byId.values()) {
      assert.equal(mail.differing, 0, 'copies are the same to the byte');
      if (!this.outlivedLease(mail.copies[0].at, mail.copies.at(-1).at)) copies += mail.copies.length - 1;
    }
    assert.ok(copies <= allowed, `${copies} copies`);
    for (const name of this.received.byName.keys()) assert.ok(letters.has(name), `a mail to ${name} without a letter`);
  }

  async judgeAccounts(database) {
    const rows = await sql(database, 'SELECT name_key, is_confirmed FROM accounts');
    const accounts = new Map(rows.map(({ name_key, is_confirmed }) => [name_key, is_confirmed]));
    const made = this.kept('register');
    for (const name of made) assert.ok(accounts.has(name), `the account ${name} is gone`);
    await inParallel(made.slice(-SOME), 4, async (name) => assert.equal(await this.status((client) => client.signIn(name, PASSWORD)), 200, name));
    for (const name of this.kept('link')) assert.equal(accounts.get(name), true, `${name} was told that it is confirmed`);
  }

  /** Of two rivals for a token one wins, at most, and who was told so has won. */
  async judgeTokens() {
    const all = [...this.told];
    for (const [name, { outcomes }] of all) {
      assert.ok(outcomes.filter((outcome) => outcome === 'kept').length <= 1, `two winners: ${name}`);
      assert.ok(outcomes.join() !== 'refused,refused', `nobody may have won: ${name}`);
    }
    // Those in doubt before all others, then the last ones.
    const doubtful = ([, { outcomes }]) => (outcomes.includes('unknown') ? 0 : 1);
    const some = all.reverse().sort((one, other) => doubtful(one) - doubtful(other)).slice(0, SOME);
    await inParallel(some, 4, async ([name, { token, outcomes }]) => {
      const works = async (password) => (await this.status((client) => client.signIn(name, password))) === 200;
      const [one, other, old] = [await works(RIVALS[0]), await works(RIVALS[1]), await works(PASSWORD)];
      const state = `${name}: told ${outcomes}; passwords that work: ${[one, other, old]}`;
      assert.equal([one, other, old].filter(Boolean).length, 1, state);
      for (const [i, works] of [one, other].entries()) {
        if (outcomes[i] === 'kept') assert.ok(works, state);
        if (outcomes[i] === 'refused') assert.ok(!works, state);
      }
      const last = await this.status((client) => client.completeReset(token, 'the last password'));
      // It may have been done by one that was answered 503.
      assert.ok(old ? last === 200 || (last === 403 && (await works('the last password'))) : last === 403, `${state}, ${last}`);
    });
  }
}
