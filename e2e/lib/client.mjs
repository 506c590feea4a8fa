// Owns requests as an app makes them: JSON over HTTP, and raw bytes where a test sends what no client would.

import net from 'node:net';

import { within } from './wait.mjs';

/** A client of one server. Every method answers `{status, headers, text, body}`. */
export class Client {
  constructor(url) {
    this.url = url;
  }

  async send(method, path, json, headers = {}) {
    const options = { method, headers: { ...headers }, redirect: 'manual' };
    if (json !== undefined) {
      options.headers['content-type'] ??= 'application/json';
      options.body = typeof json === 'string' ? json : JSON.stringify(json);
    }
    const response = await fetch(this.url + path, options);
    const text = await response.text();
    let body;
    try {
      body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    return { status: response.status, headers: response.headers, text, body };
  }

  register(name, password) {
    return this.send('POST', '/auth', { provider: 'password', data: name, user_info: { password, register: true } });
  }

  signIn(name, password) {
    return this.send('POST', '/auth', { provider: 'password', data: name, user_info: { password, register: false } });
  }

  updateAccount(data, providerId) {
    return this.send('POST', '/auth/password/updateAccount', { provider_id: providerId, data });
  }

  askForReset(name) {
    return this.updateAccount({ action: 'reset_password' }, name);
  }

  completeReset(token, password) {
    return this.updateAccount({ action: 'complete_reset', token, new_password: password });
  }

  askForConfirmation(name) {
    return this.updateAccount({ action: 'request_email_confirmation' }, name);
  }

  confirm(token) {
    return this.updateAccount({ action: 'confirm_email', token });
  }

  revoke(session, token = session) {
    return this.send('POST', '/auth/revoke', { token }, { authorization: session });
  }

  changePassword(session, password) {
    return this.send('PUT', '/auth/password', { data: { new_password: password } }, { authorization: session });
  }
}

/**
 * Sends bytes over a connection of its own and answers all bytes that came back until the server closed, or until
 * `enough(bytes)` says so. `end` closes our half when everything is sent.
 */
export function rawExchange(port, chunks, { end = false, ms = 60_000, enough = () => false } = {}) {
  const socket = net.connect(port, '127.0.0.1');
  const exchange = new Promise((resolve) => {
    let received = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (enough(received)) resolve(received);
    });
    socket.on('close', () => resolve(received));
    socket.on('error', () => {}); // A server that has seen enough may reset; `close` follows.
    socket.on('connect', () => {
      for (const chunk of [chunks].flat()) socket.write(chunk);
      if (end) socket.end();
    });
  });
  return within(ms, 'answer to raw bytes', exchange).finally(() => socket.destroy());
}

/**
 * The first answer among these bytes that is none of the interim ones: `{status, headers, text, body}` as from a client,
 * with header values as they came. `undefined` where it is not complete yet.
 */
export function parseAnswer(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  const rest = bytes.subarray(end + 4);
  if (status < 200) return parseAnswer(rest);
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  const length = Number(headers.get('content-length'));
  if (rest.length < length) return undefined;
  const text = rest.subarray(0, length).toString();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  return { status, headers, text, body };
}

/** The status line's number; `undefined` for no answer. */
export function statusOf(bytes) {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(bytes.toString('latin1'))?.[1]) || undefined;
}

/** A complete request as bytes; the server closes after answering. */
export function rawRequest(method, path, body = '', headers = {}) {
  const bytes = Buffer.from(body);
  const lines = { Host: '127.0.0.1', 'Content-Length': bytes.length, Connection: 'close', ...headers };
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`, 'latin1'), bytes]);
}
