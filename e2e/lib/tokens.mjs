// Owns the signed tokens as another service sees them: Node's crypto and the key files, nothing of Regain.

import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The public key under a data path, which is all that a service needs. */
export function publicKey(dataPath) {
  return createPublicKey(readFileSync(join(dataPath, 'keys', 'auth.pub')));
}

/** The private key under a data path. */
export function privateKey(dataPath) {
  return createPrivateKey(readFileSync(join(dataPath, 'keys', 'auth.key')));
}

/** The administrator's token, from where tools made for ROS take it. */
export function adminToken(dataPath) {
  return JSON.parse(readFileSync(join(dataPath, 'keys', 'admin.json'), 'utf8')).ADMIN_TOKEN;
}

/** What a token says, whoever signed it. */
export function claimsOf(token) {
  return JSON.parse(Buffer.from(token.split(':')[0], 'base64').toString());
}

/** What a token says; throws where it is not signed by that key, or has ended `at` that time in milliseconds. */
export function check(token, key, at = Date.now()) {
  const [data, signature, ...rest] = token.split(':');
  if (signature === undefined || rest.length > 0) throw new Error('not two parts');
  const json = Buffer.from(data, 'base64');
  if (!verify('RSA-SHA256', json, key, Buffer.from(signature, 'base64'))) throw new Error('not signed by this key');
  const claims = JSON.parse(json);
  if (claims.expires !== undefined && claims.expires * 1000 < at) throw new Error('expired');
  return claims;
}

/** A token that says this, as ROS with that private key would have signed it. */
export function signed(claims, key) {
  const json = Buffer.from(JSON.stringify(claims));
  return `${json.toString('base64')}:${sign('RSA-SHA256', json, key).toString('base64')}`;
}
