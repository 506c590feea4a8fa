// Owns certificates: an authority of the test's own and a server certificate under it, made by openssl.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const openssl = (...args) => promisify(execFile)('openssl', args);

/**
 * Makes `{authorityFile, keyFile, certFile, key, cert}` in `directory`, good for `localhost` and 127.0.0.1. A program
 * trusts it when SSL_CERT_FILE names `authorityFile`.
 */
export async function makeCertificates(directory) {
  const at = (name) => join(directory, name);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl('req', '-x509', ...curve, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=Regain test authority');
  await openssl('req', ...curve, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=localhost');
  await writeFile(at('server.ext'), 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n');
  await openssl('x509', '-req', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial',
    '-days', '2', '-extfile', at('server.ext'), '-out', at('server.pem'));
  return {
    authorityFile: at('ca.pem'),
    keyFile: at('server.key'),
    certFile: at('server.pem'),
    key: await readFile(at('server.key')),
    cert: await readFile(at('server.pem')),
  };
}

/**
 * Another server certificate under the authority in `directory`: for `hosts`, made so many days ago and good for two days.
 * Answers `{key, cert}`.
 */
export async function moreCertificates(directory, { hosts = 'DNS:localhost,IP:127.0.0.1', daysAgo = 0 } = {}) {
  const name = `${hosts.replace(/\W/g, '-')}-${daysAgo}`;
  const at = (file) => join(directory, file);
  await writeFile(at(`${name}.ext`), `basicConstraints=CA:FALSE\nsubjectAltName=${hosts}\nextendedKeyUsage=serverAuth\n`);
  await promisify(execFile)('faketime', [`${daysAgo} days ago`, 'openssl', 'x509', '-req', '-in', at('server.csr'),
    '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-days', '2', '-extfile', at(`${name}.ext`), '-out', at(`${name}.pem`)]);
  return { key: await readFile(at('server.key')), cert: await readFile(at(`${name}.pem`)) };
}
