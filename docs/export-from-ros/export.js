#!/usr/bin/env node
// Writes the accounts of a running Realm Object Server 3.x as a file that `regain users import` reads.
//
//     node export.js --out accounts.jsonl [--server URL] [--admin-json FILE] [--timeout SECONDS]
//
// It owns the command line, the connection and the files; what a line looks like is in convert.js. It never shows a password
// hash, the admin token or a name, and changes nothing on the server. Nothing but the server's own `realm` package is needed.

'use strict';

const fs = require('fs');
const path = require('path');

const { exportAccounts } = require('./convert');

const USAGE = `Writes the accounts of a running Realm Object Server 3.x as JSON lines for \`regain users import\`.

usage: node export.js --out FILE [--server URL] [--admin-json FILE] [--timeout SECONDS]

  --out FILE         where to write; must not exist. It will hold the password hashes, readable by you alone
  --server URL       the server (default http://localhost:9080)
  --admin-json FILE  the file with its admin token (default data/keys/admin.json)
  --timeout SECONDS  how long it may take to fetch the data (default 600)

Run it where \`realm-object-server\` or \`realm\` is installed, which is the folder of your server.
Exit status: 0 all accounts were written, 2 some were left out and are named, 1 nothing was written.`;

/** Something that the person at the keyboard can put right. */
class Refusal extends Error {}

function parseArguments(args) {
  const options = {
    server: 'http://localhost:9080', adminJson: path.join('data', 'keys', 'admin.json'), out: null, timeout: 600,
  };
  const names = { '--out': 'out', '--server': 'server', '--admin-json': 'adminJson', '--timeout': 'timeout' };
  for (let at = 0; at < args.length; at += 1) {
    if (args[at] === '--help' || args[at] === '-h') return null;
    const name = Object.prototype.hasOwnProperty.call(names, args[at]) ? names[args[at]] : null;
    if (name === null) throw new Refusal(`there is no option ${args[at]}; --help shows them`);
    at += 1;
    if (args[at] === undefined) throw new Refusal(`${args[at - 1]} needs a value`);
    options[name] = args[at];
  }
  if (options.out === null) throw new Refusal('--out FILE is missing');
  options.timeout = Number(options.timeout);
  if (!(options.timeout > 0 && options.timeout <= 86400)) throw new Refusal('--timeout takes a number of seconds, up to a day');
  const server = /^(https?):\/\/([^/?#@]+)\/?$/i.exec(options.server);
  if (!server) throw new Refusal('--server takes http://HOST:PORT or https://HOST:PORT, without anything behind it');
  const isSecure = server[1].toLowerCase() === 'https';
  options.authUrl = `${isSecure ? 'https' : 'http'}://${server[2]}`;
  options.syncUrl = `${isSecure ? 'realms' : 'realm'}://${server[2]}`;
  options.isExposed = !isSecure && !/^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/i.test(server[2]);
  return options;
}

function readAdminToken(file) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new Refusal(`${file} cannot be read: ${error.code}`);
  }
  let token;
  try {
    token = JSON.parse(text).ADMIN_TOKEN;
  } catch (error) {
    token = undefined;
  }
  if (typeof token !== 'string' || token === '') throw new Refusal(`${file} has no ADMIN_TOKEN`);
  return token;
}

/** The realm-js that the server itself uses. */
function findRealm(folder) {
  const places = [folder, path.join(folder, 'node_modules', 'realm-object-server'), __dirname];
  try {
    return require.resolve('realm', { paths: places });
  } catch (error) {
    throw new Refusal(`there is no realm package in ${folder}; run this in the folder of your server`);
  }
}

/** Opens a realm of the server as it is. Without a schema of ours, since realm-js would add to the server what is missing there. */
function openRealm(Realm, user, options, name) {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Refusal(`the server did not hand out ${name} within ${options.timeout} s`));
    const timer = setTimeout(late, options.timeout * 1000);
    const sync = {
      user,
      url: `${options.syncUrl}/${name}`,
      fullSynchronization: true,
      // A connection that cannot be made is tried again until the time is over; other errors are for good.
      error: (session, error) => {
        if (error && error.isFatal) reject(new Error(`${name}: ${error.message}`));
      },
    };
    const done = (settle) => (value) => {
      clearTimeout(timer);
      settle(value);
    };
    Promise.resolve(Realm.open({ path: path.join(options.folder, `${name}.realm`), sync })).then(done(resolve), done(reject));
  });
}

function signIn(Realm, options, token) {
  const { Credentials, User } = Realm.Sync;
  // Before realm-js had credentials.
  if (!Credentials || !Credentials.adminToken) return User.adminUser(token, options.authUrl);
  return User.login(options.authUrl, Credentials.adminToken(token));
}

/** Fetches both realms into `options.folder` and hands them to `use`. */
function withRealms(Realm, options, token, use) {
  if (Realm.Sync.setLogLevel) Realm.Sync.setLogLevel('error');
  const open = [];
  const close = () => open.forEach((realm) => realm.close());
  return Promise.resolve(signIn(Realm, options, token))
    .then((user) => openRealm(Realm, user, options, '__admin')
      .then((realm) => {
        open.push(realm);
        return openRealm(Realm, user, options, '__password');
      })
      .then((realm) => {
        open.push(realm);
        return use(open[0], open[1]);
      }))
    .then((result) => {
      close();
      return result;
    }, (error) => {
      close();
      throw error;
    });
}

/** A new file, for its owner alone, written in large pieces. */
class Output {
  constructor(file) {
    try {
      this.fd = fs.openSync(file, 'wx', 0o600);
    } catch (error) {
      throw new Refusal(error.code === 'EEXIST' ? `${file} exists; nothing is overwritten` : `${file} cannot be written: ${error.code}`);
    }
    this.file = file;
    this.waiting = [];
    this.size = 0;
  }

  write(line) {
    this.waiting.push(line, '\n');
    this.size += line.length;
    if (this.size > 1 << 20) this.flush();
  }

  flush() {
    const bytes = Buffer.from(this.waiting.join(''), 'utf8');
    for (let at = 0; at < bytes.length;) at += fs.writeSync(this.fd, bytes, at, bytes.length - at);
    this.waiting = [];
    this.size = 0;
  }

  finish() {
    this.flush();
    fs.fsyncSync(this.fd);
    fs.closeSync(this.fd);
  }

  discard() {
    fs.closeSync(this.fd);
    fs.unlinkSync(this.file);
  }
}

function removeFolder(folder) {
  for (const name of fs.readdirSync(folder)) {
    const inside = path.join(folder, name);
    if (fs.lstatSync(inside).isDirectory()) removeFolder(inside);
    else fs.unlinkSync(inside);
  }
  fs.rmdirSync(folder);
}

function describe(report) {
  const lines = [
    `${report.exported} of ${report.users} users exported: ${report.withoutPassword} of them without a password, ${report.admins} administrators`,
  ];
  if (report.skipped > 0) lines.push('the account of the admin token (__admin) is not needed and was left out');
  if (report.orphans > 0) lines.push(`${report.orphans} password records belong to no user and were left out`);
  if (report.caseOnly > 0) {
    lines.push(`${report.caseOnly} names differ from another only by case: import with --exact-names, or merge them first`);
  }
  for (const { userId, note } of report.notes) lines.push(`note: ${userId} ${note}`);
  for (const { userId, reason } of report.refused) lines.push(`LEFT OUT: ${userId} ${reason}`);
  return lines.join('\n');
}

/** What this leaves behind or does not: the file with the accounts, and the folder that the data is fetched to. */
class Workplace {
  constructor(file) {
    this.home = process.cwd();
    process.umask(0o077);
    this.out = new Output(path.resolve(file));
    this.folder = fs.mkdtempSync(`${this.out.file}.fetched-`);
    // realm-js puts files of its own into the working directory, so that is the folder which goes away.
    process.chdir(this.folder);
  }

  /** Keeps the file where it is whole, and removes the folder. */
  leave(isWhole, say) {
    if (isWhole) this.out.finish();
    else this.out.discard();
    process.chdir(this.home);
    try {
      removeFolder(this.folder);
    } catch (error) {
      say(`${this.folder} could not be removed (${error.code}). It holds password hashes: remove it yourself`);
    }
  }
}

/** Runs the whole export and answers the exit status. `say` takes text for a person. */
function run(args, say) {
  let token = null;
  let workplace = null;
  const leave = (isWhole) => {
    const left = workplace;
    workplace = null;
    if (left !== null) left.leave(isWhole, say);
  };
  const stop = () => {
    leave(false);
    say('nothing was exported: stopped');
    process.exit(1);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return Promise.resolve()
    .then(() => {
      const options = parseArguments(args);
      if (options === null) {
        say(USAGE);
        return 0;
      }
      token = readAdminToken(options.adminJson);
      const realm = findRealm(process.cwd());
      workplace = new Workplace(options.out);
      options.folder = workplace.folder;
      if (options.isExposed) say('warning: the admin token and all password hashes go to this server and back unencrypted');
      process.env.REALM_DISABLE_ANALYTICS = '1';
      const write = (line) => workplace.out.write(line);
      return withRealms(require(realm), options, token, (admin, password) => exportAccounts(admin, password, write))
        .then((report) => {
          leave(true);
          say(describe(report));
          return report.refused.length > 0 ? 2 : 0;
        });
    })
    .catch((error) => {
      leave(false);
      const reason = error instanceof Error ? error.message : String(error);
      say(`nothing was exported: ${token === null ? reason : reason.split(token).join('[admin token]')}`);
      return 1;
    });
}

// realm-js keeps the process alive, hence the exit.
run(process.argv.slice(2), (text) => process.stderr.write(`${text}\n`)).then((status) => process.exit(status));
