// Owns setting the clock of one program wrong: libfaketime does, for that program alone and while it runs. The monotonic
// clock goes on, as when an administrator or NTP sets the time.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const LIBRARY = readdirSync('/usr/lib').map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`).find(existsSync);

/** A clock that a test sets, in seconds from the true one. */
export class Clock {
  /** Its setting is kept in `directory`. Start the program with `env`, after `set`. */
  constructor(directory) {
    assert.ok(LIBRARY, 'the Debian package faketime is installed');
    this.file = join(directory, 'clock');
    // Read at each look, so that a running program sees a change.
    this.env = { LD_PRELOAD: LIBRARY, FAKETIME_TIMESTAMP_FILE: this.file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
  }

  async set(seconds) {
    await writeFile(`${this.file}.draft`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await rename(`${this.file}.draft`, this.file);
  }
}
