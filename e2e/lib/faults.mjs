// Owns the faults that are played on the program itself: its fail points, and a file system that can be filled.

import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { temporaryDirectory } from './place.mjs';
import { until } from './wait.mjs';

/**
 * The fail points of a program in a build with debug assertions, steered while it runs
 * (crates/regain-core/src/fail_point.rs). Start the program with `env`.
 */
export class FailPoints {
  static async make() {
    return new FailPoints(await temporaryDirectory());
  }

  constructor(directory) {
    this.directory = directory;
    this.env = { REGAIN_FAIL_POINTS: directory };
  }

  /** From now on, what happens at `place` is `what`: `pause`, `panic` or `error`, with a number behind it for how often. */
  async arm(place, what) {
    await rm(join(this.directory, `${place}.reached`), { force: true });
    // Renamed into its place, so that nobody reads half of it.
    const draft = join(this.directory, `${place}.draft`);
    await writeFile(draft, what);
    await rename(draft, join(this.directory, place));
  }

  async disarm(place) {
    await rm(join(this.directory, place), { force: true });
  }

  /** Waits until it has happened there `times` times. */
  reached(place, { times = 1, ms } = {}) {
    return until(`the fail point ${place}`, async () => {
      const count = Number(await readFile(join(this.directory, `${place}.reached`), 'utf8'));
      return count >= times;
    }, ms);
  }
}

/**
 * A file system of `megabytes` at a directory of its own, taken away after the test; `undefined` where this machine does
 * not allow to mount one.
 */
export async function smallDisk(t, megabytes) {
  const directory = join(await temporaryDirectory(), 'disk');
  await mkdir(directory);
  const run = promisify(execFile);
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', directory]);
  } catch {
    return undefined;
  }
  // Lazily: what has files there is ended after the test, perhaps a moment later.
  t.after(() => run('umount', ['--lazy', directory]));
  return directory;
}
