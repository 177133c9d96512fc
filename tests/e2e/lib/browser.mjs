// A real Chromium, and what tests read from a page.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { until } from './process.mjs';

const FOUND = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium'];

export async function launch() {
  return chromium.launch(options());
}

/** With what it stores in a folder: it finds that again when it is launched anew. */
export async function launchWithProfile(folder) {
  return chromium.launchPersistentContext(folder, options());
}

function options() {
  const executablePath = process.env.CHROMIUM ?? FOUND.find(existsSync);
  if (executablePath === undefined) throw new Error('Chromium is missing: run tools/setup.sh apt chromium, or name it with CHROMIUM=');
  return {
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  };
}

/** A new page in a context of its own, with its WebSockets to /wse and its errors recorded. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const sockets = [];
  const faults = [];
  page.on('websocket', (ws) => {
    if (!new URL(ws.url()).pathname.startsWith('/wse')) return;
    const socket = { openedAt: Date.now(), readyAt: null, closedAt: null, frames: 0 };
    sockets.push(socket);
    ws.on('framereceived', ({ payload }) => {
      socket.frames += 1;
      if (socket.readyAt === null && String(payload).includes('"server_ready"')) socket.readyAt = Date.now();
    });
    ws.on('close', () => (socket.closedAt = Date.now()));
  });
  page.on('pageerror', (error) => faults.push(error));
  await page.goto(url);
  return { context, page, sockets, faults };
}

/** Text of an element by its test id. */
export function text(page, id) {
  return page.getByTestId(id).innerText();
}

/** Waits for the badge: connecting, live, reconnecting or refused. */
export function untilLink(page, link, timeout) {
  return until(`the page to be ${link}`, async () => (await page.getByTestId('badge').getAttribute('data-link')) === link, timeout);
}

/** Waits until the shown price and the count of messages have changed from what they are now. */
export async function untilValuesChange(page, timeout = 5_000) {
  const before = { price: await text(page, 'price'), received: await text(page, 'received') };
  await until(
    `values other than ${JSON.stringify(before)}`,
    async () => (await text(page, 'price')) !== before.price && (await text(page, 'received')) !== before.received,
    timeout,
  );
}
