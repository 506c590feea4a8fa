// Owns a relay made of aiosmtpd from PyPI, which `./test` installs under `target/`. It knows neither PIPELINING nor
// CRAM-MD5.

import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { makeCertificates } from '../certificates.mjs';
import { freePort, temporaryDirectory } from '../place.mjs';
import { until } from '../wait.mjs';
import { PASSWORD, USER } from './offer.mjs';

const PYTHON = process.env.E2E_AIOSMTPD ?? new URL('../../../target/aiosmtpd/bin/python', import.meta.url).pathname;
const RELAY = new URL('../../aiosmtpd/relay.py', import.meta.url).pathname;

export class Aiosmtpd {
  static async start(t, offer) {
    const directory = await temporaryDirectory();
    const relay = new Aiosmtpd(directory, await freePort());
    const { authorityFile, certFile, keyFile } = await makeCertificates(directory);
    relay.authorityFile = authorityFile;
    const wanted = { ...offer, directory, port: relay.port, certFile, keyFile, user: USER, password: PASSWORD };
    const child = spawn(PYTHON, [RELAY, JSON.stringify(wanted)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
    const ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    ended.catch((error) => (output += error));
    t.after(() => {
      child.kill();
      return ended;
    });
    await until('aiosmtpd to be ready', () => {
      if (output.startsWith('ready')) return true;
      throw new Error(output);
    });
    return relay;
  }

  constructor(directory, port) {
    Object.assign(this, { directory, port });
  }

  async mail(address, count = 1) {
    return readFile(join(this.directory, `${(await this.taking(address, count)).name}.eml`));
  }

  async taken(address, count = 1) {
    const { tls, login } = await this.taking(address, count);
    return { tls, login };
  }

  taking(address, count) {
    return until(`mail number ${count} for ${address}`, async () => {
      const names = (await readdir(this.directory)).map((name) => /^(\d+)\.json$/.exec(name)?.[1]).filter(Boolean);
      names.sort((a, b) => a - b);
      const all = await Promise.all(names.map(async (name) => ({
        name,
        ...JSON.parse(await readFile(join(this.directory, `${name}.json`), 'utf8')),
      })));
      return all.filter(({ to }) => to.includes(address))[count - 1];
    });
  }
}
