// Owns reading a Maildir in the order of arrival, as Postfix and Exim write them.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { until } from '../wait.mjs';

/** Waits up to `ms` for mail number `count` of the Maildir for `address` under `root` and answers its bytes. */
export async function mailOf(root, address, count = 1, ms) {
  const directory = join(root, address, 'new');
  const names = await until(`mail number ${count} for ${address}`, async () => {
    const found = (await readdir(directory)).sort((a, b) => arrival(a) - arrival(b));
    return found.length >= count && found;
  }, ms);
  return readFile(join(directory, names[count - 1]));
}

/** In microseconds: names are `seconds.V…I…M<microseconds>.host` (Postfix), `seconds.H<microseconds>P….host` (Exim). */
function arrival(name) {
  const [, seconds, micros] = /^(\d+)\..*?[MH](\d+)/.exec(name);
  return Number(seconds) * 1e6 + Number(micros);
}
