// A stand-in for realm-js with as much of its interface as the export may use, on rows from a JSON file. Whatever the real one
// would not have is not there either: objects have no properties of their own, lists are no arrays, a realm that was
// closed hands out nothing, and nothing can be written.

'use strict';

const fs = require('fs');
const path = require('path');

const { server, token, realms, fails } = JSON.parse(fs.readFileSync(process.env.STAND_IN_FOR_REALM, 'utf8'));

const SCHEMA = {
  __admin: [
    { name: 'User', primaryKey: 'userId', lists: { accounts: 'Account', metadata: 'UserMetadataRow' } },
    { name: 'Account', lists: {} },
    { name: 'UserMetadataRow', lists: {} },
  ],
  __password: [{ name: 'PasswordSaltHash', primaryKey: 'userId', lists: {} }],
};

function view(realm, row, known) {
  const prototype = {};
  for (const key of Object.keys(row)) {
    const of = known.lists[key];
    Object.defineProperty(prototype, key, {
      get() {
        realm.mustBeOpen();
        return of ? collection(realm, row[key], realm.known(of)) : row[key];
      },
    });
  }
  return Object.create(prototype);
}

function collection(realm, rows, known) {
  return new Proxy(Object.create(null), {
    get(target, key) {
      realm.mustBeOpen();
      if (key === 'length') return rows.length;
      return typeof key === 'string' && /^\d+$/.test(key) && rows[key] ? view(realm, rows[key], known) : undefined;
    },
    has() {
      throw new Error('a collection is no plain object');
    },
  });
}

class Realm {
  constructor(name) {
    this.name = name;
    this.isClosed = false;
    this.rows = realms[name];
    this.schema = SCHEMA[name].filter((known) => this.rows[known.name] !== undefined);
  }

  mustBeOpen() {
    if (this.isClosed) throw new Error(`the realm ${this.name} was closed`);
  }

  known(name) {
    const known = SCHEMA[this.name].find((each) => each.name === name);
    if (!known || (known.primaryKey && !this.rows[name])) throw new Error(`Object type '${name}' not found in schema.`);
    return known;
  }

  objects(name) {
    const known = this.known(name);
    return collection(this, this.rows[name], known);
  }

  objectForPrimaryKey(name, key) {
    this.mustBeOpen();
    const known = this.known(name);
    const row = this.rows[name].find((each) => each[known.primaryKey] === key);
    return row && view(this, row, known);
  }

  write() {
    throw new Error(`the realm ${this.name} is not to be written`);
  }

  close() {
    this.isClosed = true;
    fs.appendFileSync(process.env.STAND_IN_LOG, `closed ${this.name}\n`);
  }

  static open(config) {
    const { sync } = config;
    const name = path.basename(config.path, '.realm');
    const log = { schema: config.schema, url: sync.url, fullSynchronization: sync.fullSynchronization, cwd: process.cwd() };
    fs.appendFileSync(process.env.STAND_IN_LOG, `opened ${JSON.stringify(log)}\n`);
    fs.writeFileSync(config.path, 'hashes');
    fs.mkdirSync(`${config.path}.management`);
    if (fails === 'never' || fails === 'fatal') {
      const fatal = new Error(`bad token ${sync.user.token}`);
      fatal.isFatal = fails === 'fatal';
      setImmediate(() => sync.error(null, fatal));
      // As realm-js does, this keeps the process alive.
      setInterval(() => {}, 1000);
      return new Promise(() => {});
    }
    setInterval(() => {}, 1000);
    return Promise.resolve(new Realm(name));
  }
}

Realm.Sync = {
  setLogLevel() {},
  Credentials: { adminToken: (given) => ({ given }) },
  User: {
    login(url, credentials) {
      if (url !== server || credentials.given !== token) throw new Error(`no login at ${url}`);
      fs.mkdirSync('realm-object-server');
      fs.writeFileSync(path.join('realm-object-server', 'metadata.realm'), credentials.given);
      return { token: credentials.given };
    },
  },
};

module.exports = Realm;
