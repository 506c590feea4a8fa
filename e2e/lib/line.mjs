// Owns the network between the program and its database: a line that works, swallows everything or the answers alone, or is
// cut.

import net from 'node:net';

/**
 * A TCP proxy before a port. It passes everything on until it is told otherwise; what it was told holds for connections
 * that there are and for those to come.
 */
export class Line {
  static async start(t, target) {
    const line = new Line(target);
    await new Promise((resolve) => line.server.listen(0, '127.0.0.1', resolve));
    line.port = line.server.address().port;
    t.after(() => line.close());
    return line;
  }

  constructor(target) {
    /** Where it leads to, for connections to come. */
    this.target = target;
    this.pairs = new Set();
    this.isBlack = false;
    this.isDeaf = false;
    this.isCut = false;
    /** How many connections there have been. */
    this.taken = 0;
    this.server = net.createServer({ noDelay: true, pauseOnConnect: true }, (near) => this.take(near));
  }

  /** Passes everything on (again), also what came meanwhile. */
  pass() {
    this.isBlack = false;
    this.isDeaf = false;
    this.isCut = false;
    for (const pair of this.pairs) this.connect(pair);
  }

  /** A black hole: nobody is told anything. Connections stay, new ones are taken, and no byte passes either way. */
  blacken() {
    this.isBlack = true;
    for (const { near, far } of this.pairs) {
      near.pause();
      far?.pause();
    }
  }

  /** Half a line: the server gets everything and does it, and its answers are lost for good. */
  deafen() {
    this.isDeaf = true;
  }

  /** Closes all connections, and new ones at once until `pass`. */
  cut() {
    this.isCut = true;
    this.drop();
  }

  /** Closes the connections there are, both ends; new ones are taken as before. */
  drop() {
    for (const { near, far } of this.pairs) {
      near.destroy();
      far?.destroy();
    }
    this.pairs.clear();
  }

  close() {
    this.server.close();
    this.cut();
  }

  take(near) {
    this.taken += 1;
    near.on('error', () => {});
    if (this.isCut) return near.destroy();
    const pair = { near, far: undefined };
    this.pairs.add(pair);
    near.on('close', () => {
      this.pairs.delete(pair);
      pair.far?.destroy();
    });
    if (!this.isBlack) this.connect(pair);
  }

  /** Connects the two ends, where they are not yet, and lets bytes pass. */
  connect(pair) {
    const { near } = pair;
    if (!pair.far) {
      const far = net.connect({ port: this.target, host: '127.0.0.1', noDelay: true });
      pair.far = far;
      far.on('error', () => {});
      far.on('close', () => near.destroy());
      near.on('data', (bytes) => far.write(bytes));
      far.on('data', (bytes) => this.isDeaf || near.write(bytes));
    }
    near.resume();
    pair.far.resume();
  }
}
