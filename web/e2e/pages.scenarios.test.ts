// Every page: accessible in light and dark, narrow enough for a phone, in both languages.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';

import { launch, open, origin, visit } from './browser';
import { list } from './daemon';

interface Axe {
  run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const cookies = inject('cookies');
let browser: Browser;
let paths: string[];

beforeAll(async () => {
  browser = await launch();
  const { page } = await open(browser, cookies);
  await visit(page, '/');
  const [image] = await list(page, 'images');
  const [vm] = await list(page, 'vms');
  paths = ['/', '/images', '/vms', '/create-vm', '/activity', '/settings'];
  if (image) paths.push(`/images/${image.metadata.name}`);
  if (vm) paths.push(`/vms/${vm.metadata.name}`, `/vms/${vm.metadata.name}/console`);
});

// A page that a failed test left open would go on typing, or watching.
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
});

afterAll(async () => {
  await browser?.close();
});

async function violations(page: Page): Promise<string[]> {
  // Through the debugger: the page's policy admits no script but its own.
  await page.evaluate(axe);
  const found = await page.evaluate(() => (window as unknown as { axe: Axe }).axe.run());
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

test.each(['light', 'dark'] as const)(
  'no violation of accessibility in %s',
  async (colorScheme) => {
    const { page } = await open(browser, cookies, { colorScheme });
    for (const path of paths) {
      await visit(page, path);
      await page.locator('h1').waitFor();
      expect(await violations(page), path).toEqual([]);
    }
    await visit(page, '/');
    await page.keyboard.press('Control+k');
    await page.locator('dialog[open]').waitFor();
    expect(await violations(page), 'palette').toEqual([]);
  },
);

test('no page breaks its policy, fails, or asks another host', async () => {
  const { page, complaints } = await open(browser, cookies);
  for (const path of paths) {
    await visit(page, path);
    await page.locator(path.endsWith('/console') ? '.xterm-rows' : 'h1').waitFor();
    expect(complaints, path).toEqual([]);
  }
});

test('the way in is accessible and names the command', async () => {
  const { page } = await open(browser, []);
  await page.goto(origin());
  await page.getByText('kinglet web').waitFor();
  expect(await violations(page)).toEqual([]);
});

test('nothing is wider than a phone', async () => {
  const { page } = await open(browser, cookies, { width: 380, height: 780 });
  for (const path of paths) {
    await visit(page, path);
    await page.locator('h1').waitFor();
    const wide = await page.evaluate(() => {
      const main = document.querySelector('main');
      return Math.max(document.documentElement.scrollWidth, main?.scrollWidth ?? 0);
    });
    expect(wide, path).toBeLessThanOrEqual(380);
    expect(await violations(page), path).toEqual([]);
  }
});

test('the browser decides the language, the switch overrides it', async () => {
  const { page } = await open(browser, cookies, { locale: 'zh-CN' });
  await visit(page, '/settings');
  await page.getByRole('heading', { name: '设置', level: 1 }).waitFor();
  await page.getByRole('combobox', { name: '语言' }).selectOption('en');
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('en');
});

test('the palette goes to a page by keyboard alone', async () => {
  const { page } = await open(browser, cookies);
  await visit(page, '/');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('activ');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/activity');
});
