// Owns loading the client code that Realm published to npm, without its native addon: `lib/user-methods.js` is all of
// its talking to the server. Must not change or imitate any of it.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * The class `Realm.Sync.User` and the credentials of that version. The addon gives the class its construction and
 * its local bookkeeping; those few lines are here. A test puts the sessions of a user into its map `sessions`, by path.
 *
 * With `globalFetch` false the code is loaded as by the Node of its time, which had no `fetch`, and takes node-fetch;
 * where there is one, 2.29 believes that it runs in React Native.
 */
export function loadRealm(version, { globalFetch = false } = {}) {
  const hidden = Object.getOwnPropertyDescriptor(globalThis, 'fetch');
  const file = require.resolve(`realm-${version}/lib/user-methods.js`);
  delete require.cache[file];
  if (!globalFetch) delete globalThis.fetch;
  let methods;
  try {
    methods = require(file);
  } finally {
    Object.defineProperty(globalThis, 'fetch', hidden);
  }
  const known = new Map();
  class User {
    static createUser(server, identity, token, isAdminToken, isAdmin) {
      const user = Object.assign(new User(), { server, identity, token, isAdminToken, isAdmin, isLoggedIn: true });
      user.sessions = new Map();
      known.set(`${server} ${identity}`, user);
      return user;
    }

    static _adminUser(server, token) {
      return User.createUser(server, '__admin', token, true, true);
    }

    static _getExistingUser(server, identity) {
      return known.get(`${server} ${identity}`);
    }

    _sessionForOnDiskPath(path) {
      return this.sessions.get(path);
    }

    _logout() {
      this.isLoggedIn = false;
    }
  }
  Object.defineProperties(User, Object.getOwnPropertyDescriptors(methods.static));
  Object.defineProperties(User.prototype, Object.getOwnPropertyDescriptors(methods.instance));
  return { User, Credentials: methods.credentials, AuthError: require(`realm-${version}/lib/errors.js`).AuthError };
}
