// Owns making many accounts without hashing many passwords: they are imported with a hash that is known.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The password of every imported account. */
export const PASSWORD = 'argon password';
const HASH = '$argon2id$v=19$m=4096,t=3,p=1$Fc1wxsNCRQVyn3Wbl0vEHg$vxP0b5qhF59hRoFBs5YZeNC7wvogIyAA92vvhP/Ledg';

/** Names such as `user7@example.org`. */
export const names = (count, prefix = 'user') => Array.from({ length: count }, (_, i) => `${prefix}${i}@example.org`);

/** Brings accounts of these names in, beside a running server or without one. */
export async function importAccounts(installation, all, more = {}) {
  const file = join(installation.directory, `accounts-${all[0].replace(/\W/g, '-')}.jsonl`);
  const line = (name) => `${JSON.stringify({ user_id: `id-of-${name.replace('@', '.')}`, provider_id: name, password: HASH, ...more })}\n`;
  await writeFile(file, all.map(line).join(''));
  await installation.users(['import', file], { ms: 300_000 });
}

/** Does `work` for all of them, so many at a time. */
export async function inParallel(all, atATime, work) {
  const left = [...all];
  const worker = async () => {
    while (left.length > 0) await work(left.shift());
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}
