// Owns PgBouncer, which stands between processes and a PostgreSQL server and lends out its sessions.

import { spawn } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { freePort, temporaryDirectory } from './place.mjs';
import { listens } from './smtp.mjs';
import { until, within } from './wait.mjs';

/** The program refuses to run as root. */
const asAnother = process.getuid() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];

export class PgBouncer {
  /** Starts one before that server. `settings` are lines of its configuration, such as `{pool_mode: 'session'}`. */
  static async start(t, postgres, settings) {
    const directory = await temporaryDirectory();
    await chmod(directory, 0o755);
    const pooler = new PgBouncer(await freePort(), join(directory, 'pgbouncer.ini'));
    // What the tests' own looks at the database send in `options` is left out.
    const here = { listen_addr: '127.0.0.1', listen_port: pooler.port, unix_socket_dir: '', auth_type: 'any' };
    const all = { ...here, ignore_startup_parameters: 'options', ...settings };
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`);
    await writeFile(pooler.file, `[databases]\n* = host=127.0.0.1 port=${postgres.port} user=postgres\n[pgbouncer]\n${lines.join('')}`);
    t.after(() => pooler.kill());
    await pooler.start();
    return pooler;
  }

  constructor(port, file) {
    Object.assign(this, { port, file, output: '' });
  }

  /** Starts it, on the same port each time, and waits until it takes connections. */
  async start() {
    const [program, ...args] = [...asAnother, '/usr/sbin/pgbouncer', this.file];
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (bytes) => (this.output += bytes));
    this.child.once('error', (error) => (this.output += error.message));
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
    try {
      await until('PgBouncer to listen', () => listens(this.port));
    } catch (error) {
      throw new Error(`${error.message}: apt-get install pgbouncer (as ./test does)\n${this.output}`);
    }
  }

  /** Ends it at once: all connections through it are cut. */
  kill() {
    this.child.kill('SIGKILL');
    return within(10_000, 'end of PgBouncer', this.ended);
  }
}
