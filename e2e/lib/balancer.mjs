// Owns what stands in front of several processes: nginx and HAProxy with the examples of contrib/, changed in nothing but
// addresses, certificates and where they log.

import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { join } from 'node:path';

import { makeCertificates } from './certificates.mjs';
import { freePort, temporaryDirectory } from './place.mjs';
import { listens } from './smtp.mjs';
import { until, within } from './wait.mjs';

const example = (path) => readFile(new URL(`../../contrib/${path}`, import.meta.url), 'utf8');

/** Puts something else in the place of each pattern, which must be there. */
function changed(text, changes) {
  return changes.reduce((text, [pattern, by]) => {
    if (!pattern.test(text)) throw new Error(`the example has nothing like ${pattern}`);
    return text.replace(pattern, by);
  }, text);
}

/** What each program is started with, and where it logs. */
const PROGRAMS = {
  async nginx({ directory, port, plainPort, servers, keyFile, certFile }) {
    const own = changed(await example('nginx/regain.conf'), [
      [/10\.0\.0\.11:9080/, servers[0]],
      [/10\.0\.0\.12:9080/, servers[1]],
      [/listen 80;/, `listen 127.0.0.1:${plainPort};`],
      [/listen 443 /, `listen 127.0.0.1:${port} `],
      [/\/etc\/ssl\/accounts\.example\.org\.pem/, certFile],
      [/\/etc\/ssl\/private\/accounts\.example\.org\.key/, keyFile],
      [/\/var\/log\/nginx\//g, `${directory}/`],
    ]);
    await writeFile(join(directory, 'regain.conf'), own);
    const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`);
    const main = `daemon off; pid ${directory}/pid; error_log ${directory}/start.log; events {}
      http { ${places.join(' ')} include ${directory}/regain.conf; }`;
    await writeFile(join(directory, 'nginx.conf'), main);
    const files = ['start.log', 'regain.log', 'regain-error.log'].map((name) => join(directory, name));
    return { args: ['-c', join(directory, 'nginx.conf')], files, names: servers };
  },

  async haproxy({ directory, port, servers, keyFile, certFile }) {
    const pem = join(directory, 'both.pem');
    await writeFile(pem, `${await readFile(certFile, 'utf8')}${await readFile(keyFile, 'utf8')}`, { mode: 0o600 });
    const file = join(directory, 'haproxy.cfg');
    const text = changed(await example('haproxy/haproxy.cfg'), [
      [/10\.0\.0\.11:9080/, servers[0]],
      [/10\.0\.0\.12:9080/, servers[1]],
      [/bind :443 /, `bind 127.0.0.1:${port} `],
      [/\/etc\/haproxy\/accounts\.example\.org\.pem/, pem],
    ]);
    await writeFile(file, text);
    return { args: ['-db', '-f', file], files: [], names: ['regain/one', 'regain/two'] };
  },
};

export class Balancer {
  /** Starts `nginx` or `haproxy` before two installations. */
  static async start(t, program, installations) {
    const directory = await temporaryDirectory();
    const certificates = await makeCertificates(directory);
    const [port, plainPort] = [await freePort(), await freePort()];
    const servers = installations.map(({ url }) => new URL(url).host);
    const { args, files, names } = await PROGRAMS[program]({ directory, port, plainPort, servers, ...certificates });
    const balancer = new Balancer(port, names, files, await readFile(certificates.authorityFile));
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (balancer.output += bytes));
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.once('error', (error) => (balancer.output += `${error.message}: apt-get install nginx-light haproxy (as ./test does)`));
    t.after(async () => {
      child.kill('SIGTERM');
      await within(60_000, `end of ${program}`, ended);
    });
    try {
      await until(`${program} to listen`, () => listens(port));
    } catch (error) {
      throw new Error(`${error.message}\n${await balancer.log()}`);
    }
    return balancer;
  }

  constructor(port, names, files, authority) {
    Object.assign(this, { port, names, files, authority, output: '' });
  }

  /** Sends requests until one goes to that server and no other, as the log tells. */
  async sends(index) {
    const before = (await this.log()).length;
    const alone = new RegExp(` ${this.names[index]}( |$)`, 'm');
    let sent = 0;
    await until(`a request to reach ${this.names[index]}`, async () => {
      // Each from another address, since there are limits for one.
      sent += 1;
      await this.send('GET', '/health', undefined, { from: `127.1.${sent >> 8}.${(sent & 255) || 1}` });
      return alone.test((await this.log()).slice(before));
    });
  }

  /** All that it has logged. */
  async log() {
    const texts = await Promise.all(this.files.map((file) => readFile(file, 'utf8').catch(() => '')));
    return this.output + texts.join('');
  }

  /** One request on a connection of its own, from that address of this machine. Answers `{status, text, headers}`. */
  send(method, path, json, { headers = {}, from = '127.0.0.1' } = {}) {
    const body = json === undefined ? '' : JSON.stringify(json);
    const options = {
      method, path, host: '127.0.0.1', servername: 'localhost', port: this.port, ca: this.authority, agent: false, localAddress: from,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
    };
    const answer = new Promise((resolve, reject) => {
      const request = https.request(options, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
        response.on('error', reject);
      });
      request.on('error', reject);
      request.end(body);
    });
    return within(60_000, 'answer through the proxy', answer);
  }
}
