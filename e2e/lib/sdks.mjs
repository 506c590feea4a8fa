// Owns what the SDKs of Realm for Java, .NET and Cocoa put on the wire and what they take of an answer: each request with
// its header names in their order, each rule of reading. The SDKs' part is written down from their sources; the headers
// that the HTTP libraries under them add, and the order of keys where a map has none, are as these usually have them.
// realm-js is not here, since its own code runs (realm.mjs). Must not know how an answer comes about.

import assert from 'node:assert/strict';

/**
 * Each SDK has `requests`, functions that answer `[method, target, headers, body]`, and `reads`, functions that answer what
 * the app gets of an answer or throw where the SDK would. `session` is a token, `path` may be `undefined`.
 */

const string = (value, what) => assert.equal(typeof value, 'string', `${what} is a string`);
const whole = (value, what) => assert.ok(Number.isInteger(value), `${what} is a whole number`);
const object = (value, what) => assert.ok(value && typeof value === 'object' && !Array.isArray(value), `${what} is an object`);

/** JSON as Android's org.json and Apple's NSJSONSerialization write it: a slash is escaped. */
const escapedJson = (value) => JSON.stringify(value).replaceAll('/', '\\/');

/** The four actions, with the keys in the order that Java's maps give them; of the others none is known. */
const updates = (send) => ({
  requestPasswordReset: (name) => send({ data: { action: 'reset_password' }, provider_id: name }),
  completePasswordReset: (token, password) => send({ data: { new_password: password, action: 'complete_reset', token } }),
  requestEmailConfirmation: (name) => send({ data: { action: 'request_email_confirmation' }, provider_id: name }),
  confirmEmail: (token) => send({ data: { action: 'confirm_email', token } }),
});

/** realm-java 5.9.0, on OkHttp 3. */
export const java = (() => {
  const tail = [['Connection', 'Keep-Alive'], ['Accept-Encoding', 'gzip'], ['User-Agent', 'okhttp/3.9.0']];
  const authorization = (session) => (session ? [['Authorization', session]] : []);
  const send = (method, target, value, session) => {
    const body = Buffer.from(escapedJson(value));
    const type = ['Content-Type', 'application/json; charset=utf-8'];
    const head = [['Accept', 'application/json'], ...authorization(session), type, ['Content-Length', body.length], ['Host', 'localhost']];
    return [method, target, [...head, ...tail], body];
  };
  // The type is named on GET as well.
  const get = (target, session) =>
    ['GET', target, [['Content-Type', 'application/json'], ['Accept', 'application/json'], ...authorization(session), ['Host', 'localhost'], ...tail], ''];
  const app_id = 'org.example.app';
  const login = (name, password, register) => send('POST', '/auth', { provider: 'password', data: name, app_id, user_info: { password, register } });
  const trade = (session, path) =>
    send('POST', '/auth', { provider: 'realm', data: session, app_id, ...(path && { path }), user_info: {} });
  const escape = (name) => encodeURI(name).replaceAll('%25', '%'); // OkHttp takes a percent sign for an escape.
  const update = (value) => send('POST', '/auth/password/updateAccount', value);

  const parse = (answer) => {
    object(answer.body, 'the body');
    return answer.body;
  };
  const problem = (answer) => {
    assert.ok(answer.status < 200 || answer.status > 299);
    const { code, status, title } = parse(answer);
    whole(code ?? status, 'code, or else status');
    string(title, 'title');
    return { code: code ?? status, title };
  };
  const token = ({ token, token_data }) => {
    string(token, 'token');
    object(token_data, 'token_data');
    string(token_data.identity, 'identity');
    whole(token_data.expires, 'expires');
    assert.ok(Array.isArray(token_data.access), 'access is an array');
    return { token, identity: token_data.identity, isAdmin: token_data.is_admin === true };
  };
  const pairs = (list, key, value) => {
    assert.ok(Array.isArray(list), 'it is an array');
    return Object.fromEntries(list.map((item) => {
      assert.equal(Object.keys(item).length, 2, 'it takes no third key');
      string(item[key], key);
      string(item[value], value);
      return [item[key], item[value]];
    }));
  };
  return {
    name: 'realm-java 5.9',
    requests: {
      register: (name, password) => login(name, password, true),
      signIn: (name, password) => login(name, password, false),
      trade,
      signOut: (session) => send('POST', '/auth/revoke', { token: session }, session),
      changePassword: (session, password) => send('PUT', '/auth/password', { data: { new_password: password } }, session),
      changePasswordOf: (id, session, password) => send('PUT', '/auth/password', { user_id: id, data: { new_password: password } }, session),
      lookUp: (name, session) => get(`/auth/users/password/${escape(name)}`, session),
      ...updates(update),
    },
    reads: {
      session: (answer) => {
        assert.equal(answer.status, 200);
        return token(parse(answer).refresh_token);
      },
      done: (answer) => assert.ok(answer.status >= 200 && answer.status <= 299, answer.text),
      account: (answer) => {
        assert.equal(answer.status, 200);
        const { user_id, is_admin, accounts, metadata } = parse(answer);
        string(user_id, 'user_id');
        assert.equal(typeof is_admin, 'boolean');
        return { identity: user_id, isAdmin: is_admin, names: pairs(accounts, 'provider', 'provider_id'), metadata: pairs(metadata, 'key', 'value') };
      },
      absence: (answer) => assert.equal(problem(answer).code, 612),
      problem,
    },
  };
})();

/** realm-dotnet 4.3.0, on the HttpClient of .NET Framework. */
export const dotnet = (() => {
  const JSON_TYPE = 'application/json; charset=utf-8';
  const head = (session) =>
    [['Accept', 'application/json, application/problem+json'], ...(session ? [['Authorization', session]] : [])];
  const send = (method, target, value, session) => {
    const body = Buffer.from(JSON.stringify(value));
    // It holds the body back until the server says that it goes on, or for a third of a second.
    const tail = [['Content-Type', JSON_TYPE], ['Host', 'localhost'], ['Content-Length', body.length], ['Expect', '100-continue'], ['Connection', 'Keep-Alive']];
    return [method, target, [...head(session), ...tail], body];
  };
  const get = (target, session) => ['GET', target, [...head(session), ['Host', 'localhost'], ['Connection', 'Keep-Alive']], ''];
  const login = (name, password, register) => {
    const user_info = register === undefined ? { password } : { register, password };
    return send('POST', '/auth', { data: name, provider: 'password', user_info, app_id: '' });
  };
  const trade = (session, path) => send('POST', '/auth', { data: session, ...(path && { path }), provider: 'realm', app_id: '' });
  const update = (value) => send('POST', '/auth/password/updateAccount', value);

  const parse = (answer) => {
    const type = answer.headers.get('content-type');
    assert.ok(type !== undefined, 'without a type it crashes');
    assert.equal(type, JSON_TYPE, 'any other type is no success and no problem');
    object(answer.body, 'the body');
    return answer.body;
  };
  const success = (answer) => {
    assert.ok(answer.status >= 200 && answer.status <= 299, answer.text);
    return parse(answer);
  };
  const problem = (answer) => {
    assert.ok(answer.status < 200 || answer.status > 299);
    const { code, title, type } = parse(answer);
    whole(code, 'code');
    string(title, 'title');
    string(type, 'type');
    return { code, title };
  };
  return {
    name: 'realm-dotnet 4.3',
    requests: {
      register: (name, password) => login(name, password, true),
      signIn: (name, password) => login(name, password, false),
      signInOrRegister: (name, password) => login(name, password),
      trade,
      signOut: (session) => send('POST', '/auth/revoke', { token: session }, session),
      changePassword: (session, password) => send('PUT', '/auth/password', { data: { new_password: password } }, session),
      changePasswordOf: (id, session, password) => send('PUT', '/auth/password', { data: { new_password: password }, user_id: id }, session),
      lookUp: (name, session) => get(`/auth/users/password/${encodeURI(name)}`, session),
      ...updates(update),
    },
    reads: {
      session: (answer) => {
        const { token, token_data } = success(answer).refresh_token;
        string(token, 'token');
        string(token_data.identity, 'identity');
        assert.equal(typeof token_data.is_admin, 'boolean');
        return { token, identity: token_data.identity, isAdmin: token_data.is_admin };
      },
      done: (answer) => void success(answer),
      account: (answer) => {
        const { user_id, is_admin, accounts, metadata } = success(answer);
        const entries = (list, key, value) => Object.fromEntries(list.map((item) => [item[key], item[value]]));
        return { identity: user_id, isAdmin: is_admin, names: entries(accounts, 'provider', 'provider_id'), metadata: entries(metadata, 'key', 'value') };
      },
      absence: (answer) => {
        assert.ok(answer.headers.has('content-type'));
        assert.equal(answer.status, 404, 'that alone makes it `null`');
      },
      problem,
    },
  };
})();

/** realm-cocoa 3.19.0, on NSURLSession. */
export const cocoa = (() => {
  const head = (session) => [
    ['Host', 'localhost'],
    ['Content-Type', 'application/json;charset=utf-8'], // On GET as well.
    ['Connection', 'keep-alive'],
    ['Accept', 'application/json'],
    ['User-Agent', 'Example/1 CFNetwork/978.0.7 Darwin/18.7.0'],
    ...(session ? [['Authorization', session]] : []),
  ];
  const tail = [['Accept-Language', 'en-us'], ['Accept-Encoding', 'gzip, deflate']];
  const send = (method, target, value, session) => {
    const body = Buffer.from(escapedJson(value));
    return [method, target, [...head(session), ['Content-Length', body.length], ...tail], body];
  };
  const app_id = 'org.example.App';
  const login = (name, password, register) => send('POST', '/auth', { provider: 'password', app_id, data: name, user_info: { password, register } });
  const trade = (session, path) => send('POST', '/auth', { provider: 'realm', ...(path && { path }), data: session, app_id });
  const changePassword = (id, session, password) => send('PUT', '/auth/password', { token: session, user_id: id, data: { new_password: password } }, session);
  const update = (value) => send('POST', '/auth/password/updateAccount', value);
  // Escaped as a query first, then, percent signs and all, as a path.
  const escape = (name) => encodeURI(encodeURI(name).replaceAll('#', '%23')).replaceAll('?', '%3F');

  /** Those that it has names for; all others are shown as errors of HTTP. */
  const MAPPED = [601, 602, 611, 612, 613, 614, 615, 701, 702, 703];
  const success = (answer) => {
    assert.ok(answer.status < 400, answer.text);
    assert.ok(answer.text.length > 0, 'an empty body is a bad answer');
    object(answer.body, 'the body');
    return answer.body;
  };
  const problem = (answer) => {
    assert.ok(answer.status >= 400);
    object(answer.body, 'the body');
    const { status, code, title, detail } = answer.body;
    whole(status, 'status');
    whole(code, 'code');
    return { code: MAPPED.includes(code) ? code : status, title: detail ?? title };
  };
  return {
    name: 'realm-cocoa 3.19',
    requests: {
      register: (name, password) => login(name, password, true),
      signIn: (name, password) => login(name, password, false),
      trade,
      changePassword: (session, password, id) => changePassword(id, session, password),
      changePasswordOf: changePassword,
      lookUp: (name, session) => ['GET', `/auth/users/password/${escape(name)}`, [...head(session), ...tail], ''],
      ...updates(update),
    },
    reads: {
      session: (answer) => {
        const { token, token_data } = success(answer).refresh_token;
        string(token, 'token');
        string(token_data.identity, 'identity');
        assert.equal(typeof token_data.expires, 'number');
        return { token, identity: token_data.identity, isAdmin: token_data.is_admin === true };
      },
      done: (answer) => void success(answer),
      account: (answer) => {
        const { user_id, is_admin, accounts, metadata } = success(answer);
        const entries = (list, key, value) => Object.fromEntries(list.map((item) => [item[key], item[value]]));
        return { identity: user_id, isAdmin: is_admin, names: entries(accounts, 'provider', 'provider_id'), metadata: entries(metadata, 'key', 'value') };
      },
      absence: (answer) => assert.equal(problem(answer).code, 612),
      problem,
    },
  };
})();
