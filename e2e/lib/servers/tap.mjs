// Owns listening in on SMTP in the clear: a hop before a relay that writes down what goes by. Must not change it.

import net from 'node:net';

/** `connections` are lists of `{from: 'client' | 'relay', bytes}`, in the order in which the pieces came. */
export class Tap {
  static async start(t, port) {
    const tap = new Tap();
    tap.hop = net.createServer((client) => tap.take(client, port));
    await new Promise((resolve) => tap.hop.listen(0, '127.0.0.1', resolve));
    tap.port = tap.hop.address().port;
    t.after(() => tap.hop.close());
    return tap;
  }

  constructor() {
    Object.assign(this, { connections: [], released: Promise.resolve(), release: () => {} });
  }

  /** Keeps connections from now on waiting for their greeting, until `release` is called. */
  hold() {
    this.released = new Promise((resolve) => (this.release = resolve));
  }

  async take(client, port) {
    client.on('error', () => {}); // Also while it is held.
    await this.released;
    const relay = net.connect(port, '127.0.0.1');
    const pieces = [];
    this.connections.push(pieces);
    this.pass(client, relay, 'client', pieces);
    this.pass(relay, client, 'relay', pieces);
  }

  pass(source, target, from, pieces) {
    source.setNoDelay(true);
    source.on('data', (bytes) => {
      pieces.push({ from, bytes });
      target.write(bytes);
    });
    source.on('end', () => target.end());
    source.on('error', () => target.destroy());
    source.on('close', () => target.destroy());
  }

  /** Everything that clients sent over all connections. */
  get sent() {
    const pieces = this.connections.flat().filter(({ from }) => from === 'client');
    return Buffer.concat(pieces.map(({ bytes }) => bytes)).toString('latin1');
  }

  /** For each transaction, how many commands of it came before the reply to its MAIL: 1 without pipelining, else 3. */
  get bursts() {
    const envelopes = this.monologues.flatMap((said) => said.match(/^MAIL FROM:[^\0]*/gim) ?? []);
    return envelopes.map((text) => text.match(/^(MAIL|RCPT|DATA)\b/gim).length);
  }

  /** How many envelopes were sent behind the final dot of the message before, without waiting for the reply to it. */
  get riding() {
    return this.monologues.flatMap((said) => said.match(/\r\n\.\r\nMAIL FROM:/g) ?? []).length;
  }

  /** For each connection what the client said, with a NUL wherever the relay spoke in between. */
  get monologues() {
    const piece = ({ from, bytes }) => (from === 'client' ? bytes.toString('latin1') : '\0\n');
    return this.connections.map((pieces) => pieces.map(piece).join(''));
  }

  /** The messages as they crossed the wire: from behind the 354 up to the final dot, with it. */
  get messages() {
    return this.connections.flatMap((pieces) => {
      const messages = [];
      let isCollecting = false;
      for (const { from, bytes } of pieces) {
        const text = bytes.toString('latin1');
        if (from === 'relay' && /(^|\n)354[ \r\n]/.test(text)) {
          isCollecting = true;
          messages.push('');
        } else if (from === 'client' && isCollecting) {
          const soFar = messages.pop() + text;
          // The next envelope may ride behind the dot.
          const end = soFar.indexOf('\r\n.\r\n');
          isCollecting = end < 0;
          messages.push(isCollecting ? soFar : soFar.slice(0, end + 5));
        }
      }
      return messages;
    });
  }
}
