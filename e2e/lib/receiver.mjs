// Owns the receiver of a webhook: an HTTP server that checks each request with the library that receivers use, answers as
// a test tells it, and writes everything down. Must not judge: what it saw is for the tests to assert.

import http from 'node:http';
import https from 'node:https';

import { Webhook } from 'standardwebhooks';

import { until } from './wait.mjs';

export const SECRET = 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

export class Receiver {
  /** `tls` is `{key, cert}` for HTTPS; `secret` is what it knows, which may be another than the sender's. */
  static async start(t, { tls, secret = SECRET } = {}) {
    const receiver = new Receiver(tls, secret);
    await receiver.listen();
    t.after(() => receiver.refuse());
    return receiver;
  }

  /**
   * `script` answers a request: a status, `[status, headers, body]`, or a promise of one; `undefined` for 202. A promise
   * that never comes is silence.
   */
  constructor(tls, secret) {
    Object.assign(this, { tls, port: 0, requests: [], script: () => undefined, verifier: new Webhook(secret) });
  }

  /** Takes connections, on the same port each time. */
  async listen() {
    const handler = (request, response) => this.take(request, response);
    this.server = this.tls ? https.createServer(this.tls, handler) : http.createServer(handler);
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
  }

  /** Refuses connections from now on, and cuts those there are. */
  async refuse() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  get url() {
    return `${this.tls ? 'https' : 'http'}://localhost:${this.port}/regain?key=hunter2`;
  }

  async take(request, response) {
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // The sender was killed in the middle.
    }
    const raw = Buffer.concat(chunks);
    const seen = { raw, headers: request.headers, path: request.url, at: performance.now(), accepted: false };
    try {
      seen.body = this.verifier.verify(raw.toString(), request.headers);
    } catch (error) {
      seen.refused = error.message;
    }
    this.requests.push(seen);
    const answer = seen.body ? ((await this.script(seen)) ?? 202) : 401;
    const [status, headers, text] = Array.isArray(answer) ? answer : [answer, {}, ''];
    seen.accepted = status >= 200 && status < 300;
    response.writeHead(status, headers).end(text);
  }

  /** The requests for mails of that type, accepted or not. */
  of(type) {
    return this.requests.filter(({ body }) => body?.type === type);
  }

  /** Waits for the accepted mail number `count` of that type; answers its request. */
  mail(type, { count = 1, ms } = {}) {
    return until(`mail number ${count} of ${type}`, () => this.of(type).filter((seen) => seen.accepted)[count - 1], ms);
  }
}
