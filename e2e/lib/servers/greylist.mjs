// Owns a greylist as Postfix asks for it (SMTPD_POLICY_README): the first time that a sender writes to a recipient it
// says to come back later, and goes on saying so until a while has passed.

import net from 'node:net';

import { freePort } from '../place.mjs';

export class Greylist {
  /** Puts off the recipients that `applies` says, until `ms` have passed since the first try. */
  static async start(t, { applies, ms }) {
    const list = new Greylist(applies, ms, await freePort());
    const server = net.createServer((socket) => list.serve(socket));
    await new Promise((resolve) => server.listen(list.port, '127.0.0.1', resolve));
    t.after(() => server.close());
    return list;
  }

  constructor(applies, ms, port) {
    Object.assign(this, { applies, ms, port, first: new Map(), tries: [] });
  }

  /** When that recipient was tried, in milliseconds, in order. */
  triesOf(recipient) {
    return this.tries.filter((each) => each.recipient === recipient).map(({ at }) => at);
  }

  /** A request is lines of `name=value` and an empty one; so is the answer. */
  serve(socket) {
    let pending = '';
    socket.on('error', () => {}); // Postfix closes as it likes.
    socket.on('data', (bytes) => {
      pending += bytes;
      for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
        const request = Object.fromEntries(pending.slice(0, end).split('\n').map((line) => line.split(/=(.*)/s, 2)));
        pending = pending.slice(end + 2);
        socket.write(`action=${this.judge(request)}\n\n`);
      }
    });
  }

  judge({ client_address: client, sender, recipient }) {
    const at = performance.now();
    this.tries.push({ recipient, at });
    if (!this.applies(recipient)) return 'DUNNO';
    const triplet = [client, sender, recipient].join(' ');
    if (!this.first.has(triplet)) this.first.set(triplet, at);
    return at - this.first.get(triplet) < this.ms ? 'DEFER_IF_PERMIT Greylisted, come back later' : 'DUNNO';
  }
}
