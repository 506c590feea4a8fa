// Owns the program under test: writes its configuration, starts it, waits until it is ready, ends it, and runs its
// commands. Must not look into its database: what tests learn, an operator or a client could learn.

import { spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Client } from './client.mjs';
import { databaseOf } from './database.mjs';
import { freePort, temporaryDirectory } from './place.mjs';
import { Postgres } from './postgres.mjs';
import { until, within } from './wait.mjs';

const BINARY = process.env.E2E_BINARY ?? new URL('../../target/debug/regain', import.meta.url).pathname;

/** Whether servers have a database in PostgreSQL each, rather than in a file. */
export const onPostgres = process.env.E2E_DATABASE === 'postgres';

/**
 * How long a mail is waited for after a crash, in milliseconds, on a slow machine too. A file has one process, so what the dead one had claimed is free
 * at the next start; in PostgreSQL others may live, so its lease of 30 s runs out.
 */
export const AFTER_A_CRASH = onPostgres ? 120_000 : 60_000;

/** The URL of a new database in PostgreSQL, where the tests run on that; else there is one in a file. */
const newDatabase = async () => (onPostgres ? (await Postgres.shared()).database() : undefined);

/** A directory with a configuration, in which `regain serve` can be started, killed and started again. */
export class Installation {
  /**
   * `settings` are top-level keys, `mail` the keys of `emailHandlerConfig`; `null` for a server without mail. `database` is
   * the URL of one in PostgreSQL, where it is not left to `E2E_DATABASE`.
   */
  static async make(t, { relay, mail = {}, settings = {}, database } = {}) {
    database ??= await newDatabase();
    const directory = await temporaryDirectory();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const config = {
      address: '127.0.0.1',
      port,
      dataPath: join(directory, 'data'),
      publicUrl: url,
      // All requests come from one address here; what the limits do has tests of its own.
      limits: { perClient: false },
      ...(database && { database }),
      ...settings,
      authProviders: [
        {
          type: 'password',
          ...(mail && {
            emailHandlerConfig: {
              baseUrl: url,
              connectionString: relay,
              from: '"Regain Test" <noreply@regain.test>',
              ...mail,
            },
          }),
        },
      ],
    };
    const file = join(directory, 'regain.json');
    await writeFile(file, JSON.stringify(config, null, 2));
    return new Installation(t, directory, file, url, join(directory, 'data'), database);
  }

  /** `database` is where it is: the URL, or the file. */
  constructor(t, directory, file, url, data, database = databaseOf(data)) {
    Object.assign(this, { t, directory, file, url, data, database });
  }

  /**
   * Starts `regain serve` and waits until it says that it is ready, for at most `ms`. `args` are more arguments, `through`
   * is a command to start it with, `log` an open file that takes its output.
   */
  async serve({ args = [], env = {}, through, log, ms } = {}) {
    const options = { cwd: this.directory, env, url: this.url, through, log };
    const server = new Running(this.t, ['serve', ...args, '--config', this.file], options);
    await server.ready(ms);
    return server;
  }

  /** Starts `regain courier` and waits until it delivers. */
  async courier({ env = {} } = {}) {
    const courier = new Running(this.t, ['courier', '--config', this.file], { cwd: this.directory, env, url: this.url });
    await courier.says('regain delivers mail');
    return courier;
  }

  /** Runs a command to its end, beside a running server or without one. */
  run(args, options = {}) {
    return run(args, { cwd: this.directory, ...options });
  }

  /** Runs one of `regain users`, which must succeed, and answers what it says. */
  async users(args, options) {
    const { code, stdout, stderr } = await this.run(['users', ...args, '--config', this.file], options);
    if (code !== 0) throw new Error(`regain users ${args.join(' ')}: exit ${code}: ${stderr}`);
    return stdout;
  }

  /** The letters of the outbox, newest first, as the operator sees them. */
  async letters() {
    const { code, stdout, stderr } = await this.run(['outbox', 'list', '--json', '--config', this.file]);
    if (code !== 0) throw new Error(`regain outbox list: exit ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** Waits until exactly one letter of that purpose meets `test`, and returns it. */
  letter(purpose, what, test, ms) {
    return until(`a ${purpose} letter that is ${what}`, async () => {
      const found = (await this.letters()).filter((letter) => letter.purpose === purpose);
      if (found.length === 1 && test(found[0])) return found[0];
      throw new Error(JSON.stringify(found));
    }, ms);
  }
}

/** `regain dev` on a free port with a data path of its own. */
export async function dev(t, { env = {}, cwd } = {}) {
  const directory = await temporaryDirectory();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const database = await newDatabase();
  const server = new Running(t, ['dev'], {
    cwd: cwd ?? directory,
    url,
    env: {
      REGAIN_PORT: String(port),
      REGAIN_DATA_PATH: join(directory, 'data'),
      REGAIN_PUBLIC_URL: url,
      REGAIN_LIMITS__PER_CLIENT: 'false',
      ...(database && { REGAIN_DATABASE: database }),
      ...env,
    },
  });
  server.data = join(directory, 'data');
  await server.ready();
  return server;
}

/** A running `regain serve` or `regain dev`. */
export class Running {
  constructor(t, args, { cwd, env, url, through = [], log = 'pipe' }) {
    this.url = url;
    this.port = Number(new URL(url).port);
    this.client = new Client(url);
    this.output = '';
    const [program, ...all] = [...through, BINARY, ...args];
    this.child = spawn(program, all, { cwd, env: clean(env), stdio: ['ignore', log, log] });
    this.pid = this.child.pid;
    this.child.stdout?.on('data', (bytes) => (this.output += bytes));
    this.child.stderr?.on('data', (bytes) => (this.output += bytes));
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      // `close`, not `exit`: all output has arrived.
      this.child.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.ended.catch(() => {});
    t.after(() => this.kill());
  }

  /** Waits until `/health` answers 200. */
  ready(ms) {
    return this.lives('regain to be ready', async () => (await fetch(`${this.url}/health`)).status === 200, ms);
  }

  /** Waits until it has said that, on either stream. */
  says(text, ms) {
    return this.lives(`regain to say "${text}"`, () => this.output.includes(text), ms);
  }

  /** Waits for something that does not come any more once it has ended. */
  async lives(what, probe, ms) {
    let ended;
    this.ended.then((how) => (ended = how));
    await until(what, async () => ended || probe(), ms);
    if (ended) throw new Error(`regain ended at once (${JSON.stringify(ended)}):\n${this.output}`);
  }

  /** `kill -9`: nothing in the program gets a chance to tidy up. */
  async kill() {
    this.child.kill('SIGKILL');
    return this.ended;
  }

  /** Puts it to sleep, and answers when none of its threads runs any more: the signal alone takes a while to arrive. */
  async freeze() {
    this.child.kill('SIGSTOP');
    await until('all threads to sleep', async () => {
      const threads = await readdir(`/proc/${this.pid}/task`);
      const stats = await Promise.all(threads.map((id) => readFile(`/proc/${this.pid}/task/${id}/stat`, 'latin1')));
      return stats.every((stat) => /\) T /.test(stat));
    });
  }

  /** Lets it run again. */
  thaw() {
    this.child.kill('SIGCONT');
  }

  /** Asks it to stop, as a service manager does. */
  async stop({ ms = 60_000 } = {}) {
    this.child.kill('SIGTERM');
    return within(ms, 'end after SIGTERM', this.ended);
  }

  /** The newest mail to that address in the mailbox of `regain dev`, once there are `count` of them. */
  async mail(to, { count = 1, subject } = {}) {
    return until(`${count} mails to ${to}`, async () => {
      const all = await (await fetch(`${this.url}/dev/mailbox/messages`)).json();
      const found = all.filter((m) => m.to.includes(to) && (!subject || subject.test(m.subject)));
      found.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
      return found.length >= count && found.at(-1);
    });
  }
}

/** Runs the program to its end, which must come within `ms`. */
export async function run(args, { cwd, env = {}, input, ms = 120_000 } = {}) {
  const child = spawn(BINARY, args, { cwd, env: clean(env), stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes) => (stdout += bytes));
  child.stderr.on('data', (bytes) => (stderr += bytes));
  child.stdin.on('error', () => {}); // It may end without reading.
  child.stdin.end(input ?? '');
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  try {
    const code = await within(ms, `end of regain ${args.join(' ')}`, ended);
    return { code, stdout, stderr };
  } finally {
    child.kill('SIGKILL');
  }
}

/** The environment without what a developer may have set for a server of their own. */
function clean(extra) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(REGAIN_|SSL_CERT_|NODE_)/.test(name));
  return { ...Object.fromEntries(inherited), ...extra };
}
