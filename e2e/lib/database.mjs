// Owns looking into the program's database, and writing into it from outside, with SQLite's own shell or PostgreSQL's. Only
// for what no client and no operator could learn or do: invariants after a crash, broken rows, rows that have grown old.
//
// A database is named by its file, or by its URL where it is in PostgreSQL.

import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { execute, query } from './postgres.mjs';
import { within } from './wait.mjs';

/** Where the database under a data path is, where it is in a file. */
export const databaseOf = (dataPath) => join(dataPath, 'regain.db');

export const isPostgres = (database) => database.startsWith('postgres://');

/** Runs SQL on a database and answers the rows of its query; of a file it may be several, and the last one counts. */
export async function sql(file, text) {
  if (isPostgres(file)) {
    if (/^\s*(SELECT|WITH)\b/i.test(text)) return query(file, text);
    await execute(file, text);
    return [];
  }
  // Waits for others that write.
  const options = { maxBuffer: 1 << 28 };
  const { stdout } = await promisify(execFile)('sqlite3', ['-batch', '-bail', '-json', '-cmd', '.timeout 20000', file, text], options);
  return stdout.trim() === '' ? [] : JSON.parse(stdout);
}

/** The only value of the only row. */
export async function value(file, text) {
  const rows = await sql(file, text);
  return Object.values(rows[0])[0];
}

/** What must hold in every database, whatever happened: each query finds rows that must not be there. */
const INVARIANTS = {
  'the count of open letters is right': `SELECT sum(open) FROM outbox HAVING sum(open) <> (SELECT count(*) FROM letters WHERE ended IS NULL)`,
  'nothing is claimed without a claim, or open with an end': `SELECT name_key FROM letters
      WHERE (state = 'claimed') <> (claim IS NOT NULL AND lease IS NOT NULL) OR (ended IS NULL) <> (state IN ('waiting', 'claimed'))`,
  'a sent letter with a link has its token, until it is purged': `SELECT l.name_key FROM letters l
      WHERE state = 'sent' AND purpose <> 'password_changed' AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.letter = l.id)`,
  'a sent letter was attempted': `SELECT name_key FROM letters WHERE state = 'sent' AND attempts = 0`,
  'a token is of the account of its letter': `SELECT t.name_key FROM tokens t JOIN letters l ON l.id = t.letter
      WHERE t.account IS DISTINCT FROM l.account OR t.name_key <> l.name_key OR t.purpose <> l.purpose`,
  'an open letter waits for nothing that has happened': `SELECT l.name_key FROM letters l JOIN tokens t ON t.letter = l.id
      WHERE l.ended IS NULL AND l.purpose = 'reset' AND t.used IS NOT NULL`,
  'a password that was reset was told, where mail is configured': `SELECT a.id FROM accounts a
      WHERE (SELECT count(*) FROM tokens t WHERE t.account = a.id AND t.purpose = 'reset' AND t.used IS NOT NULL) > 0
        AND NOT EXISTS (SELECT 1 FROM letters n WHERE n.purpose = 'password_changed' AND n.name_key = a.name_key)`,
};

const WHOLE = { 'the file is whole': `SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'` };

/** Names of what does not hold, with the rows that show it. */
export async function brokenInvariants(file) {
  const broken = {};
  const all = isPostgres(file) ? INVARIANTS : { ...WHOLE, ...INVARIANTS };
  for (const [name, text] of Object.entries(all)) {
    const rows = await sql(file, text);
    if (rows.length > 0) broken[name] = rows.slice(0, 5);
  }
  return broken;
}

/** Holds the database exclusively, as a backup tool or an operator's shell may; answers how to let go. */
export async function hold(t, file) {
  const shell = spawn('sqlite3', ['-batch', '-cmd', '.timeout 20000', file], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => shell.kill('SIGKILL'));
  const ended = new Promise((resolve) => shell.once('close', resolve));
  const holding = new Promise((resolve) => shell.stdout.once('data', resolve));
  shell.stdin.write(`BEGIN EXCLUSIVE;\nSELECT 'held';\n`);
  await within(25_000, 'hold on the database', holding);
  return async () => {
    shell.stdin.end('COMMIT;\n');
    await ended;
  };
}
