// Pictures of every page: light, dark and at a phone's width, into KINGLET_SHOTS. Run by
// `npm run screenshots`. Objects are taken as they are in the daemon.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, inject, test } from 'vitest';

import { launch, open, required, visit, type Look } from './browser';

const LOOKS: Record<string, Look> = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', width: 380, height: 780 },
  'phone-dark': { colorScheme: 'dark', width: 380, height: 780 },
  zh: { colorScheme: 'light', locale: 'zh-CN' },
};

const folder = required('KINGLET_SHOTS');
const cookies = inject('cookies');
let browser: Browser;

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
});

async function firstName(page: Page, list: 'images' | 'vms', phase?: string): Promise<string> {
  const answer = await page.request.get(`/v1/${list}`.replace(/^/, new URL(page.url()).origin));
  const objects = (await answer.json()) as {
    metadata: { name: string };
    status: { phase: string };
  }[];
  const wanted = objects.find(({ status }) => status.phase === phase) ?? objects[0];
  return wanted?.metadata.name ?? '';
}

test.each(Object.entries(LOOKS))('screenshots in %s', async (name, look) => {
  const { page } = await open(browser, cookies, look);
  const shoot = (what: string) => page.screenshot({ path: join(folder, `${what}-${name}.png`) });
  await visit(page, '/');
  await page.locator('[data-gauge]').first().waitFor();
  const image = await firstName(page, 'images', 'ready');
  const vm = await firstName(page, 'vms', 'running');

  await shoot('overview');
  for (const list of ['images', 'vms', 'activity', 'settings', 'create-vm']) {
    await visit(page, `/${list}`);
    await page.locator('h1').waitFor();
    // Two figures make a curve.
    await page.locator('[data-gauge] polyline').first().waitFor({ state: 'attached' });
    await shoot(list);
  }
  if (image) {
    await visit(page, `/images/${image}`);
    await page.locator('h1').waitFor();
    await shoot('image');
  }
  if (vm) {
    await visit(page, `/vms/${vm}`);
    await page.locator('h1').waitFor();
    await page.locator('[data-gauge] polyline').first().waitFor({ state: 'attached' });
    await shoot('vm');
    await visit(page, `/vms/${vm}/console`);
    await page.locator('.xterm-rows').waitFor();
    await page.locator('[data-link="connected"]').waitFor();
    await shoot('console');
  }
  await visit(page, '/');
  await page.keyboard.press('Control+k');
  await page.locator('dialog[open]').waitFor();
  await shoot('palette');
  await page.context().close();
});

test('screenshot of the way in', async () => {
  const { page } = await open(browser, []);
  await page.goto(new URL(required('KINGLET_URL')).origin);
  await page.locator('h1').waitFor();
  await page.screenshot({ path: join(folder, 'sign-in-light.png') });
  await page.context().close();
});
