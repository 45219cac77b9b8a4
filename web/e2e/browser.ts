// A real Chromium, signed in to a real daemon.
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A variable that the run needs. */
export function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`Set ${name}: see web/e2e/README.md.`);
  return value;
}

/** The page's address without the token. */
export function origin(): string {
  return new URL(required('KINGLET_URL')).origin;
}

export function launch(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: ARGS });
}

export type Cookies = Awaited<ReturnType<BrowserContext['cookies']>>;

/** Trades the one-time token for a session, as a person does: by opening the address. */
export async function signIn(browser: Browser): Promise<Cookies> {
  const context = await browser.newContext({ locale: 'en-GB' });
  const page = await context.newPage();
  await page.goto(required('KINGLET_URL'));
  await live(page);
  if (page.url().includes('token')) throw new Error('The token is still in the address bar.');
  const cookies = await context.cookies();
  await context.close();
  return cookies;
}

export interface Look {
  width?: number;
  height?: number;
  colorScheme?: 'light' | 'dark';
  locale?: string;
}

/** A page with that session, and everything on it that went wrong. */
export async function open(
  browser: Browser,
  cookies: Cookies,
  look: Look = {},
): Promise<{ page: Page; complaints: string[] }> {
  const { width = 1280, height = 800, colorScheme = 'light', locale = 'en-GB' } = look;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, locale });
  await context.addCookies(cookies);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    const { origin: to, protocol } = new URL(request.url());
    const ours = to === origin() || to === origin().replace('http', 'ws');
    if (protocol !== 'data:' && !ours) complaints.push(`a request to ${to}`);
  });
  return { page, complaints };
}

/** Waits until the page shows the event stream as live. */
export async function live(page: Page): Promise<void> {
  await page.locator('[data-connection="live"]').waitFor();
}

/** Goes to an address within the daemon and waits until it is live. */
export async function visit(page: Page, path: string): Promise<void> {
  await page.goto(origin() + path);
  await live(page);
}
