// Owns starting the visitor: Debian's Chromium, headless, with an empty profile.

import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** A browser that lives as long as the test. */
export async function launchBrowser(t) {
  const browser = await chromium.launch({ executablePath: process.env.E2E_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  t.after(() => browser.close());
  return browser;
}
