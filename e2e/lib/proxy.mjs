// Owns the network between the program and its relay, where a test wants it to stand still in the middle of something.

import net from 'node:net';

/** A proxy before a port that passes everything on, both ways, until it is told otherwise. */
export class Proxy {
  static async start(t, target) {
    const proxy = new Proxy(target);
    await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    proxy.port = proxy.server.address().port;
    t.after(() => proxy.close());
    return proxy;
  }

  constructor(target) {
    /** Given what a client has sent so far and a piece of it, answers how much of the piece is passed on: less stalls it. */
    this.passes = (_, piece) => piece.length;
    /** Whether some connection stands still. */
    this.isStalled = false;
    this.sockets = [];
    this.server = net.createServer((client) => {
      const relay = net.connect(target, '127.0.0.1');
      this.sockets.push(client, relay);
      let sent = '';
      let stalled = false;
      client.on('data', (bytes) => {
        if (stalled) return;
        const piece = bytes.toString('latin1');
        const passed = this.passes(sent, piece);
        sent += piece;
        relay.write(bytes.subarray(0, passed));
        if (passed < bytes.length) {
          stalled = true;
          this.isStalled = true;
        }
      });
      relay.on('data', (bytes) => client.write(bytes));
      client.on('close', () => relay.destroy());
      relay.on('close', () => client.destroy());
      for (const socket of [client, relay]) {
        socket.setNoDelay(true);
        socket.on('error', () => {});
      }
    });
  }

  close() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
