// Owns playing faults one after the other, on the program and on its relay, and writing down when which one was played.

import { randomInt } from 'node:crypto';

import { DROP, SILENCE } from './relay.mjs';
import { pause } from './wait.mjs';

const pick = (all) => all[randomInt(all.length)];

/** Plays faults on a server, which it starts again where that is needed, and on its relay. */
export class Chaos {
  /** `serve` starts a server; `received` is what the relay gets (ledger.mjs). */
  constructor(relay, received, serve, server) {
    Object.assign(this, { relay, received, serve, server, played: [], crashes: [], faults: {} });
  }

  /**
   * Plays faults until `end`, in milliseconds of `performance.now()`. The first half of the time has faults as well that
   * make a letter wait for a minute.
   */
  async play(end) {
    const half = (performance.now() + end) / 2;
    while (performance.now() < end) {
      await pause(randomInt(300, 1200));
      const faults = ['kill', 'kill', 'terminate', 'sleep', 'refuse', 'busy', 'drop', 'drop', 'silence', 'silence'];
      if (performance.now() < half) faults.push('greylist');
      const fault = pick(faults);
      this.played.push(`${fault} at ${performance.now().toFixed(0)}`);
      this.faults[fault] = (this.faults[fault] ?? 0) + 1;
      await this[fault]();
    }
    this.behave();
  }

  /** Does what may part a relay's acceptance from its being written down, whichever mail it hits. */
  async crash(work) {
    const from = performance.now();
    await work();
    this.crashes.push({ from, to: performance.now() });
  }

  /** How many crashes there were between two moments. */
  crashesBetween(first, last) {
    return this.crashes.filter(({ from, to }) => to >= first && from <= last).length;
  }

  behave() {
    this.received.dot = undefined;
    for (const phase of ['greeting', 'mail', 'rcpt']) delete this.relay.script[phase];
  }

  async kill() {
    await this.crash(() => this.server.kill());
    await pause(randomInt(0, 300));
    this.server = await this.serve();
  }

  /** Asks it to stop, and insists where that takes long. */
  async terminate() {
    const { server } = this;
    server.child.kill('SIGTERM');
    const ended = await Promise.race([server.ended, pause(3000)]);
    if (!ended) {
      await this.crash(() => {
        server.child.kill('SIGTERM');
        return server.ended;
      });
    }
    this.server = await this.serve();
  }

  async sleep() {
    await this.server.freeze();
    await pause(randomInt(100, 2500));
    this.server.thaw();
  }

  /** Nobody listens, and connections are cut, some of them behind a final dot. */
  async refuse() {
    await this.crash(() => this.relay.refuse());
    await pause(randomInt(200, 2500));
    await this.relay.listen();
  }

  async busy() {
    const phase = pick(['greeting', 'mail']);
    this.relay.script[phase] = '421 4.3.2 too busy';
    await pause(randomInt(200, 2000));
    this.behave();
  }

  async greylist() {
    this.relay.script.rcpt = '450 4.2.0 later';
    await pause(randomInt(50, 300));
    this.behave();
  }

  /** Cuts connections behind the final dot. */
  async drop() {
    this.received.dot = () => DROP;
    await pause(randomInt(100, 800));
    this.behave();
  }

  /** Says nothing any more at some phase, and in the end cuts the connections on which it was silent. */
  async silence() {
    const phase = pick(['greeting', 'mail', 'rcpt', 'dot']);
    const silent = new Set();
    const hush = (session) => {
      silent.add(session);
      return SILENCE;
    };
    if (phase === 'dot') this.received.dot = hush;
    else this.relay.script[phase] = hush;
    await pause(randomInt(200, 2000));
    this.behave();
    for (const session of silent) session.socket.destroy();
  }
}
