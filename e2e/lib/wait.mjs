// Owns waiting: for a condition, never for a length of time hoped to be enough.

/**
 * Asks `probe` until it answers something truthy, and returns that. Fails after `within` milliseconds, saying what
 * it waited for and what the last answer was: long enough for a machine that is slow and busy with others as well.
 */
export async function until(what, probe, within = 60_000) {
  const deadline = performance.now() + within;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${within} ms for ${what}; last: ${last instanceof Error ? last.stack : JSON.stringify(last)}`);
    }
    await pause(20);
  }
}

/** Lets `ms` pass: between two looks at the same thing, or where a test shows that something does *not* happen. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The answer of `promise`, or a failure that says what did not come within `ms`. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
