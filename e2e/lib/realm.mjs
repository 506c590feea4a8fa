// Owns loading the client code that Realm published to npm, without its native addon: `lib/user-methods.js` is all of
// its talking to the server. Must not change or imitate any of it.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * The class `Realm.Sync.User` and the credentials of that version. The addon gives the class its construction and
 * its local bookkeeping; those few lines are here.
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
  class User {
    static createUser(server, identity, token, isAdminToken, isAdmin) {
      return Object.assign(new User(), { server, identity, token, isAdminToken, isAdmin, isLoggedIn: true });
    }

    _logout() {
      this.isLoggedIn = false;
    }
  }
  Object.defineProperties(User, Object.getOwnPropertyDescriptors(methods.static));
  Object.defineProperties(User.prototype, Object.getOwnPropertyDescriptors(methods.instance));
  return { User, Credentials: methods.credentials, AuthError: require(`realm-${version}/lib/errors.js`).AuthError };
}
