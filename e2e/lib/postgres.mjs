// Owns PostgreSQL servers of the tests' own, from Debian's packages: made in a directory of their own on a free port, with
// `fsync` on as in life. They end, and their files are gone, when the test file ends, however it does. Knows nothing of
// Regain but the name of its schema.

import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, chmod, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { Clock } from './clock.mjs';
import { freePort } from './place.mjs';

const run = promisify(execFile);
const MUCH = 1 << 28;

/** Ends the server and clears its directory away when standard input is closed: also when the test was killed. */
const KEEPER = `
  while read -r _; do :; done
  pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
  if [ -n "$pid" ]; then
    kill -CONT "$pid"; kill -QUIT "$pid"
    # Its file goes with it; the process itself may stay behind as a zombie where nobody reaps.
    for _ in $(seq 100); do [ -e "$1/data/postmaster.pid" ] || break; sleep 0.1; done
  fi 2>/dev/null
  rm -rf "$1"/* "$1"
`;

/** Where Debian keeps the programs of the newest version there is. */
function programs() {
  const all = '/usr/lib/postgresql';
  const versions = existsSync(all) ? readdirSync(all).filter((version) => existsSync(`${all}/${version}/bin/postgres`)) : [];
  if (versions.length === 0) throw new Error('PostgreSQL is missing: apt-get install postgresql (as ./test does)');
  return `${all}/${versions.sort((a, b) => b - a)[0]}/bin`;
}

/** The server refuses to run as root. */
const isRoot = process.getuid() === 0;
const asOwner = isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];

let shared;

export class Postgres {
  /**
   * Makes a server and starts it. `settings` are lines of `postgresql.conf`, as `{max_connections: 50}`. With `standbyOf`
   * it is a streaming standby of another one, which `promote` makes a primary. `directory` is where its files are, where
   * that matters, such as a small disk; it is emptied in the end. With `hasClock` its time is what `clock` is set to.
   */
  static async start(t, { settings = {}, standbyOf, directory, hasClock } = {}) {
    const postgres = await Postgres.make({ settings, standbyOf, directory, hasClock });
    t.after(() => postgres.close());
    return postgres;
  }

  /** The one that the tests of this file share, started when it is first asked for. */
  static shared() {
    shared ??= Postgres.make({ settings: {} });
    return shared;
  }

  static async make({ settings, standbyOf, directory, hasClock }) {
    // Not one of place.mjs: it is cleared away once the server has ended, which is later.
    directory ??= await mkdtemp(join(tmpdir(), 'regain-e2e-postgres-'));
    await chmod(directory, 0o755);
    if (isRoot) await run('chown', ['postgres', directory]);
    const postgres = new Postgres(directory, await freePort());
    if (hasClock) {
      postgres.clock = new Clock(directory);
      await postgres.clock.set(0);
    }
    if (standbyOf) {
      const from = ['-h', '127.0.0.1', '-p', String(standbyOf.port), '-U', 'postgres'];
      await postgres.program('pg_basebackup', [...from, '-D', postgres.data, '--checkpoint=fast', '--write-recovery-conf']);
    } else {
      const how = ['--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'];
      await postgres.program('initdb', ['-D', postgres.data, '-U', 'postgres', ...how]);
    }
    const all = { max_connections: 300, listen_addresses: `'127.0.0.1'`, unix_socket_directories: `'${directory}'`, ...settings };
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`);
    await appendFile(join(postgres.data, 'postgresql.conf'), lines.join(''));
    await postgres.start();
    return postgres;
  }

  constructor(directory, port) {
    Object.assign(this, { directory, port, made: 0 });
    this.data = join(directory, 'data');
    this.log = join(directory, 'log');
    // In a session of its own: Ctrl+C must not end it before the server.
    this.keeper = spawn('sh', ['-c', KEEPER, 'keeper', directory], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.keeper.unref();
    this.keeper.stdin.unref();
  }

  /** Runs one of PostgreSQL's programs as the owner of the cluster, and answers its output. Fails where it fails. */
  async program(name, args) {
    // The owner's alone: what sets the clock makes files of whoever it first runs as.
    const env = Object.entries(this.clock?.env ?? {}).map(([name, value]) => `${name}=${value}`);
    const [program, ...all] = [...asOwner, 'env', ...env, `${programs()}/${name}`, ...args];
    return (await run(program, all, { cwd: this.directory, maxBuffer: MUCH })).stdout;
  }

  /** Starts it, on the same port each time, and waits until it takes connections. */
  async start() {
    try {
      await this.program('pg_ctl', ['start', '-w', '-t', '300', '-D', this.data, '-l', this.log, '-o', `-p ${this.port}`]);
    } catch (error) {
      throw new Error(`PostgreSQL did not start: ${error.message}\n${await readFile(this.log, 'utf8').catch(() => '')}`);
    }
  }

  /** Stops it: `fast` as an operator does, `immediate` as a crash does, with a recovery at the next start. */
  stop(how = 'fast') {
    return this.program('pg_ctl', ['stop', '-w', '-t', '300', '-D', this.data, '-m', how]);
  }

  async restart(how = 'fast') {
    await this.stop(how);
    await this.start();
  }

  /** Makes a standby the primary, and waits until it takes writes. */
  promote() {
    return this.program('pg_ctl', ['promote', '-w', '-t', '300', '-D', this.data]);
  }

  /** Ends it, whatever it does, and clears its files away. */
  close() {
    const closed = new Promise((resolve) => this.keeper.once('close', resolve));
    this.keeper.ref();
    this.keeper.stdin.end();
    return closed;
  }

  /** The URL of that database; `port` where it is reached through something else, such as a line (line.mjs). */
  url(database, { port = this.port } = {}) {
    return `postgres://postgres@127.0.0.1:${port}/${database}`;
  }

  /** The URL of a new, empty database. `how` goes behind its CREATE DATABASE. */
  async database(how = '') {
    this.made += 1;
    const name = `test_${this.made}`;
    await this.run(`CREATE DATABASE ${name} ${how}`);
    return this.url(name);
  }

  /** Runs statements in the database `postgres`: what concerns the whole server. */
  run(text) {
    return execute(this.url('postgres'), text);
  }

  /** Ends connections as an administrator does; `condition` is about a row of `pg_stat_activity`. Answers how many. */
  async terminate(condition = 'true') {
    const which = `backend_type = 'client backend' AND pid <> pg_backend_pid() AND (${condition})`;
    const [{ count }] = await query(this.url('postgres'), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE ${which}`);
    return count;
  }
}

/** The rows of a query, as objects. Regain's tables need no schema before them. */
export async function query(url, text) {
  const json = await execute(url, `SELECT coalesce(json_agg(t), '[]') FROM (${text.trim().replace(/;$/, '')}) t`);
  return JSON.parse(json);
}

/** Runs statements, all or none of them, and answers what psql prints. */
export async function execute(url, text) {
  const env = { ...process.env, PGOPTIONS: '-c search_path=regain,public', PGCONNECT_TIMEOUT: '20' };
  const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', text];
  const { stdout } = await run(`${programs()}/psql`, args, { env, maxBuffer: MUCH });
  return stdout;
}

/** All that is in a database, as bytes of SQL. */
export async function dump(url) {
  const { stdout } = await run(`${programs()}/pg_dump`, ['-d', url], { maxBuffer: MUCH, encoding: 'buffer' });
  return stdout;
}
