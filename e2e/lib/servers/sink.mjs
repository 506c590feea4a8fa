// Owns Postfix' `smtp-sink`: a relay that throws mail away, after keeping it in a file for us, and that fails as its
// options say. It has neither TLS nor a real login.

import { spawn } from 'node:child_process';
import { chown, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { freePort, temporaryDirectory } from '../place.mjs';
import { listens } from '../smtp.mjs';
import { until } from '../wait.mjs';

const PROGRAM = '/usr/sbin/smtp-sink';
const NOBODY = 65534;

export class Sink {
  /** Starts it with these options, in addition to those that make it keep mail. */
  static async start(t, options = []) {
    const sink = new Sink(join(await temporaryDirectory(), 'mail'), await freePort());
    await mkdir(sink.directory);
    if (process.getuid() === 0) await chown(sink.directory, NOBODY, NOBODY);
    t.after(() => sink.stop());
    await sink.run(options);
    return sink;
  }

  constructor(directory, port) {
    Object.assign(this, { directory, port, child: undefined });
  }

  /** Ends what runs, with all its connections, and starts on the same port with other options. */
  async run(options = []) {
    await this.stop();
    const user = process.getuid() === 0 ? ['-u', 'nobody'] : [];
    const keep = ['-d', join(this.directory, '%s.')];
    const child = spawn(PROGRAM, [...user, ...keep, ...options, `127.0.0.1:${this.port}`, '100'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaints = '';
    child.stderr.on('data', (bytes) => (complaints += bytes));
    this.child = child;
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    this.ended.catch(() => {}); // That it does not listen is noticed below.
    await until('smtp-sink to listen', () => {
      if (child.exitCode !== null) throw new Error(`smtp-sink ${options.join(' ')}: ${complaints}`);
      return listens(this.port);
    });
  }

  async stop() {
    if (!this.child) return;
    this.child.kill('SIGKILL');
    await this.ended;
    this.child = undefined;
  }

  /** Waits for a mail to that address: `{proto, raw}`, whether it came by SMTP or ESMTP, and the mail. */
  mail(address) {
    return until(`a mail to ${address}`, async () => {
      for (const name of await readdir(this.directory)) {
        // It puts lines of its own on top, and an empty one at the end.
        const kept = await readFile(join(this.directory, name), 'latin1');
        const [, head, raw] = /^((?:X-[A-Za-z-]+: .*\n)+Received: .*\n(?:[ \t].*\n)*)([^]*)\n$/.exec(kept) ?? [];
        if (head?.includes(`X-Rcpt-Args: <${address}>`)) {
          return { proto: /^X-Client-Proto: (\S+)/m.exec(head)[1], raw: Buffer.from(raw, 'latin1') };
        }
      }
      return undefined;
    });
  }
}
