// Owns the last line of the end-to-end tests: `N passed, N failed`. Must not print anything else.

/** A reporter for `node --test` that counts tests, not the suites around them. */
export default async function* tally(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (data?.details?.type === 'suite') continue;
    if (type === 'test:pass') passed += 1;
    if (type === 'test:fail') failed += 1;
  }
  yield `${passed} passed, ${failed} failed\n`;
}
