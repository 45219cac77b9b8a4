// Images: what a person sees while files come and break off.
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';

import { launch, open, required, visit } from './browser';
import { ask, list } from './daemon';
import { Copy, removeFile } from './folder';

const guest = required('KINGLET_GUEST');
const cookies = inject('cookies');
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

// A page that a failed test left open would go on typing, or watching.
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
});

afterAll(async () => {
  await browser?.close();
});

test('a file that is copied in slowly is seen arriving, then ready, without a reload', async () => {
  const { page, complaints } = await open(browser, cookies);
  await visit(page, '/images');
  await page.locator('h1').waitFor();
  // A reload would lose this mark.
  await page.evaluate(() => Object.assign(window, { mark: true }));
  const copy = new Copy(guest, 'e2e-slow.qcow2');
  try {
    copy.upTo(0.3);
    const row = page.getByRole('row').filter({ hasText: 'e2e-slow' });
    await row.getByText('arriving').waitFor();
    expect(await row.getByRole('button').count(), 'nothing is offered while it arrives').toBe(0);

    const name = (await list(page, 'images')).find(({ spec }) => spec.path === 'e2e-slow.qcow2')
      ?.metadata.name;
    const refused = await ask(page, 'POST', '/vms', { name: 'e2e-early', spec: { image: name } });
    expect(refused.status).toBe(409);
    expect(refused.body.code).toBe('image-not-ready');

    copy.upTo(0.7);
    expect(await row.getByText('arriving').count()).toBe(1);
    copy.upTo(1);
    copy.close();
    await row.getByText('ready', { exact: true }).waitFor({ timeout: 180_000 });
    await row.getByRole('button', { name: 'Create VM' }).waitFor();
    expect(await page.evaluate(() => 'mark' in window)).toBe(true);
    // The refusal above was asked for beside the page; the page itself has nothing to complain of.
    expect(complaints).toEqual([]);
  } finally {
    removeFile('e2e-slow.qcow2');
  }
});

test('a copy that broke off is damaged, with the reason', async () => {
  const { page } = await open(browser, cookies);
  await visit(page, '/images');
  const copy = new Copy(guest, 'e2e-cut.qcow2');
  try {
    copy.upTo(0.4);
    copy.close();
    const row = page.getByRole('row').filter({ hasText: 'e2e-cut' });
    await row.getByText('damaged').waitFor({ timeout: 120_000 });
    await row.getByRole('link').click();
    const reason = page.locator('[data-reason]');
    await reason.waitFor();
    expect((await reason.innerText()).length).toBeGreaterThan(20);
    const create = page.locator('[data-action="create-vm"]');
    expect(await create.getAttribute('aria-disabled')).toBe('true');
    await create.hover();
    expect(await page.getByRole('tooltip').innerText()).toContain('damaged');
  } finally {
    removeFile('e2e-cut.qcow2');
  }
});
