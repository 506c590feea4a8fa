// A person with a browser: asks for a link, opens it from the mail, sets a password, confirms an address.
//
// With E2E_SCREENSHOTS set to a directory, each page is kept there as a picture: narrow and wide, light and dark.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { launchBrowser } from './lib/browser.mjs';
import { onlyLink } from './lib/mail.mjs';
import { dev } from './lib/regain.mjs';

const PICTURES = process.env.E2E_SCREENSHOTS;
const SIZES = { narrow: { width: 360, height: 740 }, wide: { width: 1280, height: 800 } };

describe('in a browser', () => {
  let browser, server;
  const hooks = [];

  before(async () => {
    const suite = { after: (hook) => hooks.push(hook) };
    server = await dev(suite);
    browser = await launchBrowser(suite);
  });

  after(async () => {
    for (const hook of hooks.reverse()) await hook();
  });

  /** A page of its own profile that fails the test on anything the browser complains of. */
  async function visitor(t, options) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      // A page with a 4xx status is logged as an error by the browser; the status is for the test to judge.
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url) && !/^(data|about|blob):/.test(request.url())) complaints.push(`request to ${request.url()}`);
    });
    t.after(async () => {
      await context.close();
      assert.deepEqual(complaints, []);
    });
    return page;
  }

  const account = async (name) => assert.equal((await server.client.register(name, 'first password')).status, 200);

  test('a forgotten password is reset through the mailed link, without scripts', async (t) => {
    await account('ann@example.org');
    const page = await visitor(t, { javaScriptEnabled: false });
    await page.goto(`${server.url}/reset-password`);
    await page.getByLabel(/email/i).fill('ann@example.org');
    await page.getByRole('button').click();
    await page.getByText(/check your (inbox|mail|email)/i).first().waitFor();

    const link = onlyLink((await server.mail('ann@example.org', { subject: /password/i })).text);
    await page.goto(link);
    const fields = page.locator('input[type=password]');
    assert.equal(await fields.count(), 2);
    await fields.nth(0).fill('second password');
    await fields.nth(1).fill('another password');
    await page.getByRole('button').click();
    await page.getByRole('alert').waitFor();

    await page.locator('input[type=password]').nth(0).fill('second password');
    await page.locator('input[type=password]').nth(1).fill('second password');
    await page.getByRole('button').click();
    await page.getByText(/(has been|was) changed|new password/i).first().waitFor();

    assert.equal((await server.client.signIn('ann@example.org', 'second password')).status, 200);
    assert.equal((await server.client.signIn('ann@example.org', 'first password')).status, 401);

    await page.goto(link);
    await page.locator('input[type=password]').nth(0).fill('third password');
    await page.locator('input[type=password]').nth(1).fill('third password');
    const [answer] = await Promise.all([page.waitForNavigation(), page.getByRole('button').click()]);
    assert.equal(answer.status(), 400);
    await page.getByRole('alert').waitFor();
  });

  test('opening a confirmation link changes nothing; its button confirms; a second click is told so', async (t) => {
    await account('ben@example.org');
    const isConfirmed = async () => (await server.client.signIn('ben@example.org', 'first password')).body.refresh_token.token_data.isEmailConfirmed;
    const link = onlyLink((await server.mail('ben@example.org')).text);
    for (const method of ['HEAD', 'GET', 'HEAD', 'GET']) assert.equal((await fetch(link, { method })).status, 200, method);
    const page = await visitor(t);
    await page.goto(link);
    await page.goto(link);
    await page.waitForLoadState('networkidle');
    assert.equal(await isConfirmed(), false, 'looking at a link confirms nothing, scripts or not');

    await page.getByRole('button').click();
    await page.getByText(/confirmed/i).first().waitFor();
    assert.equal(await isConfirmed(), true);

    await page.goto(link);
    const [again] = await Promise.all([page.waitForNavigation(), page.getByRole('button').click()]);
    assert.equal(again.status(), 200);
    await page.getByText(/already confirmed/i).first().waitFor();
  });

  test('the try-it page registers, signs in and asks for a reset', async (t) => {
    const page = await visitor(t);
    await page.goto(server.url);
    await page.getByLabel(/email|name/i).first().fill('cleo@example.org');
    await page.getByLabel(/password/i).first().fill('first password');
    await page.getByRole('button', { name: /register|create/i }).first().click();
    await server.mail('cleo@example.org');
    assert.equal((await server.client.signIn('cleo@example.org', 'first password')).status, 200);
  });

  test('the mailbox page shows a mail in a frame that can do nothing', async (t) => {
    await account('dora@example.org');
    await server.mail('dora@example.org');
    const page = await visitor(t);
    await page.goto(`${server.url}/dev/mailbox`);
    await page.getByText('dora@example.org').first().click();
    const frame = page.locator('iframe').first();
    await frame.waitFor();
    const sandbox = await frame.getAttribute('sandbox');
    assert.notEqual(sandbox, null);
    assert.doesNotMatch(sandbox, /allow-scripts|allow-same-origin/);
  });

  test('the API page signs in, sends the session from then on, and lets it go at signing out', async (t) => {
    await account('fred@example.org');
    const page = await visitor(t);
    await page.goto(`${server.url}/docs`);
    const operation = async (id) => {
      const shown = page.locator(`details#${id}`);
      // By keyboard alone.
      await shown.locator('> summary').focus();
      await page.keyboard.press('Enter');
      return shown;
    };
    const send = async (shown, status) => {
      await shown.getByRole('button', { name: 'Send' }).press('Enter');
      await shown.getByRole('status').getByText(`→ ${status}`).waitFor();
      return shown.getByRole('status').locator('pre').first().innerText();
    };
    const own = await operation('userByName');
    await own.getByLabel('provider_id').fill('fred@example.org');
    await send(own, 401);

    const signIn = await operation('signIn');
    await signIn.getByLabel('Example').selectOption('Sign in');
    const body = signIn.getByLabel('Body');
    await body.fill((await body.inputValue()).replace('ann@', 'fred@').replace('correct horse', 'first password'));
    const { refresh_token: session } = JSON.parse(await send(signIn, 200));
    assert.equal(await page.getByLabel('Token to send').inputValue(), session.token);

    assert.equal(JSON.parse(await send(own, 200)).user_id, session.token_data.identity);
    const byId = await operation('userById');
    assert.equal(await byId.getByLabel('user_id').inputValue(), session.token_data.identity, 'examples are of this session');
    assert.equal(JSON.parse(await send(byId, 200)).accounts[0].provider_id, 'fred@example.org');

    await send(await operation('signOut'), 200);
    assert.equal(await page.getByLabel('Token to send').inputValue(), '');
    await send(own, 401);
    assert.equal((await server.client.revoke(session.token)).status, 403);
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length), 0);
  });

  test('the API page shows all operations, sends forms, and without scripts says where to look', async (t) => {
    const page = await visitor(t);
    await page.goto(`${server.url}/docs#submitReset`);
    const form = page.locator('details#submitReset');
    await form.getByLabel('Example').selectOption('A link to a new password');
    await form.getByRole('button', { name: 'Send' }).click();
    await form.getByRole('status').getByText('→ 200').waitFor();
    const { paths } = await (await fetch(`${server.url}/openapi.json`)).json();
    const ids = Object.values(paths).flatMap((item) => Object.values(item).map((operation) => operation.operationId));
    assert.deepEqual((await page.locator('details.operation').evaluateAll((all) => all.map((one) => one.id))).sort(), ids.sort());

    const plain = await visitor(t, { javaScriptEnabled: false });
    await plain.goto(`${server.url}/docs`);
    await plain.getByText('needs JavaScript').waitFor();
    await plain.locator('#wait a').click();
    assert.match(plain.url(), /\/openapi\.json$/);
  });

  test('every page fits a narrow screen, names its fields and can be read in light and dark', async (t) => {
    await account('emma@example.org');
    const confirm = onlyLink((await server.mail('emma@example.org')).text);
    await server.client.askForReset('emma@example.org');
    const reset = onlyLink((await server.mail('emma@example.org', { subject: /password/i })).text);
    const dead = reset.replace(/[0-9a-f]{64}/, 'f'.repeat(64));
    const post = (path, fields) => async (page) => {
      await page.goto(server.url + path);
      await page.evaluate(([action, values]) => {
        const form = Object.assign(document.createElement('form'), { method: 'post', action });
        for (const [name, value] of Object.entries(values)) form.append(Object.assign(document.createElement('input'), { name, value }));
        document.body.append(form);
        form.submit();
      }, [path, fields]).catch(() => {});
      await page.waitForLoadState('load');
    };
    const token = (link) => new URL(link).searchParams.get('token');
    const open = (url) => (page) => page.goto(url);
    const pages = {
      'reset-ask': open(`${server.url}/reset-password`),
      'reset-asked': post('/reset-password', { email: 'emma@example.org' }),
      'reset-form': open(reset),
      'reset-differ': post('/reset-password', { token: token(reset), password: 'one password', 'password-repeated': 'two password' }),
      'reset-dead': post('/reset-password', { token: token(dead), password: 'one password', 'password-repeated': 'one password' }),
      'confirm-button': open(confirm),
      'confirm-dead': post('/confirm-email', { token: token(dead) }),
      'confirm-missing': open(`${server.url}/confirm-email`),
      'confirm-done': post('/confirm-email', { token: token(confirm) }),
      'confirm-again': post('/confirm-email', { token: token(confirm) }),
      'reset-done': post('/reset-password', { token: token(reset), password: 'one password', 'password-repeated': 'one password' }),
      'try-it': open(server.url),
      api: async (page) => {
        await page.goto(`${server.url}/docs`);
        await page.locator('details.operation').first().waitFor();
      },
      'api-open': async (page) => {
        await page.goto(`${server.url}/docs#updateAccount`);
        await page.locator('details.operation').first().waitFor();
        await page.evaluate(() => document.querySelectorAll('#updateAccount details, #userByName, #style').forEach((one) => (one.open = true)));
        await page.locator('#updateAccount').getByRole('button', { name: 'Send' }).click();
        await page.locator('#updateAccount').getByRole('status').getByText('→ 200').waitFor();
      },
      mailbox: open(`${server.url}/dev/mailbox`),
      mail: async (page) => {
        await page.goto(`${server.url}/dev/mailbox`);
        await page.getByText('emma@example.org').first().click();
        await page.locator('iframe').first().waitFor();
      },
    };
    const views = Object.entries(SIZES).flatMap(([size, viewport]) => ['light', 'dark'].map((colorScheme) => ({ size, viewport, colorScheme })));
    if (PICTURES) await mkdir(PICTURES, { recursive: true });
    const page = await visitor(t, { bypassCSP: true });
    for (const [name, show] of Object.entries(pages)) {
      await show(page);
      for (const { size, viewport, colorScheme } of views) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        const seen = await page.evaluate(look);
        assert.ok(seen.width <= viewport.width, `${name} is ${seen.width} px wide on ${viewport.width}`);
        assert.deepEqual(seen.unlabelled, [], `${name}: fields without a label`);
        assert.ok(seen.lang && seen.title, `${name}: lang and title`);
        assert.ok(seen.contrast >= 4.5, `${name} ${colorScheme}: contrast ${seen.contrast} of "${seen.faintest}"`);
        if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${size}-${colorScheme}.png`), fullPage: true });
      }
    }
  });
});

/** Runs in the page: its width, its fields without a label, and the lowest contrast of text to its background. */
function look() {
  const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = channels(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches && getComputedStyle(document.documentElement).colorScheme.includes('dark') ? [18, 18, 18] : [255, 255, 255];
  };
  let [contrast, faintest] = [21, ''];
  for (const element of document.querySelectorAll('body, body *')) {
    const own = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join('');
    if (!own || !element.getClientRects().length || element.disabled || getComputedStyle(element).visibility === 'hidden') continue;
    const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(background(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < contrast) [contrast, faintest] = [ratio, own];
  }
  const fields = [...document.querySelectorAll('input:not([type=hidden]), textarea, select')].filter((f) => f.getClientRects().length);
  return {
    width: document.documentElement.scrollWidth,
    unlabelled: fields.filter((f) => !f.labels?.length && !f.getAttribute('aria-label')).map((f) => f.name),
    lang: document.documentElement.lang,
    title: document.title,
    contrast,
    faintest,
  };
}
