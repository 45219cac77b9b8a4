// VMs: from an image to a shell, in the page alone.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';

import { launch, open, required, visit } from './browser';
import { ask, removeVm } from './daemon';
import { Copy, removeFile } from './folder';

const VM = 'e2e-vm';
const FILE = 'e2e-guest.qcow2';
// Under emulation a guest takes its time.
const BOOT = 280_000;

const cookies = inject('cookies');
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
  const copy = new Copy(required('KINGLET_GUEST'), FILE);
  copy.upTo(1);
  copy.close();
});

// A page that a failed test left open would go on typing, or watching.
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
});

afterAll(async () => {
  const { page } = await open(browser, cookies);
  await visit(page, '/vms');
  await removeVm(page, VM);
  removeFile(FILE);
  await browser?.close();
});

/** Waits until the terminal shows a text. */
async function shows(page: Page, text: string | RegExp, timeout = 60_000): Promise<void> {
  const wanted = typeof text === 'string' ? text : text.source;
  await page.waitForFunction(
    (source) => {
      const rows = document.querySelector('.xterm-rows')?.textContent ?? '';
      return new RegExp(source).test(rows.replaceAll('\u00a0', ' '));
    },
    wanted,
    { timeout },
  );
}

test('a VM is made from an image in the page, runs, and takes commands on its console', async () => {
  const { page, complaints } = await open(browser, cookies);
  await visit(page, '/images');
  const row = page.getByRole('row').filter({ hasText: 'e2e-guest' });
  await row.getByRole('button', { name: 'Create VM' }).click({ timeout: 180_000 });
  await page.getByLabel('Name').fill(VM);
  await page.getByLabel('Memory').fill('512M');
  await page.getByRole('button', { name: 'Create', exact: true }).click();

  await page.waitForURL(`**/vms/${VM}`);
  await page.locator('[data-phase="running"]').waitFor({ timeout: 60_000 });
  await page.locator('[data-isolation]').waitFor();
  await page.getByRole('button', { name: 'Console' }).click();

  await page.locator('[data-writer="mine"]').waitFor({ timeout: 30_000 });
  await shows(page, 'login:', BOOT);
  await page.keyboard.type('root\r');
  await shows(page, 'Password:');
  await page.keyboard.type('kinglet\r');
  await shows(page, '[#$] *$');
  // The sum is in the output and not in what was typed.
  await page.keyboard.type('echo sum-$((40+2))\r');
  await shows(page, 'sum-42');
  expect(complaints).toEqual([]);
});

test('of two that watch a console one types, and the other can take over', async () => {
  const first = await open(browser, cookies);
  await visit(first.page, `/vms/${VM}/console`);
  await first.page.locator('[data-writer="mine"]').waitFor();
  const second = await open(browser, cookies);
  await visit(second.page, `/vms/${VM}/console`);
  await second.page.locator('[data-writer="other"]').waitFor();
  await second.page.getByRole('button', { name: 'Take over' }).click();
  await second.page.locator('[data-writer="mine"]').waitFor();
  await first.page.locator('[data-writer="other"]').waitFor();
});

test('what the state forbids is not offered, and the API refuses it', async () => {
  const { page } = await open(browser, cookies);
  await visit(page, `/vms/${VM}`);
  await page.locator('[data-phase="running"]').waitFor();
  expect(await page.getByRole('button', { name: 'Start', exact: true }).count()).toBe(0);
  const remove = page.locator('[data-action="delete"]');
  expect(await remove.getAttribute('aria-disabled')).toBe('true');
  const refused = await ask(page, 'DELETE', `/vms/${VM}`);
  expect(refused.status).toBe(409);
});

test('what the server objects to stands at the field', async () => {
  const { page } = await open(browser, cookies);
  await visit(page, '/create-vm');
  await page.getByLabel('Name').fill('e2e-small');
  await page.getByLabel('Empty disk').check();
  await page.getByLabel('Memory').fill('1M');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  const field = page.getByLabel('Memory');
  await page.locator('[aria-invalid="true"]').waitFor();
  expect(await field.getAttribute('aria-invalid')).toBe('true');
  expect(page.url()).toContain('/create-vm');
});
