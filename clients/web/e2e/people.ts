import axe from 'axe-core';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Locator, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';

/** A browser for the tests of a file. After each test all pages are closed, and none of them may have reported an error. */
export function useBrowserStage(url = inject('url')): Stage {
  let browser: Browser;
  const stage = new Stage(() => browser, url);
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: chromiumPath(),
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--font-render-hinting=none'],
    });
  });
  afterEach(() => stage.clear());
  afterAll(() => browser.close());
  return stage;
}

function chromiumPath(): string {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
  if (!found) throw new Error('There is no Chromium on the PATH: install one, or name it in CHROMIUM.');
  return found;
}

let count = 0;
// Digits only: the directory rejects names that look like another one, as some letters and digits do.
// Files run in parallel, so each worker has its own counter.
const run = `${Date.now() % 10_000_000}${(process.env.VITEST_POOL_ID ?? '0').padStart(2, '0')}`;

/** A username that no other test uses. */
export const uniqueName = (name: string): string => `${name}-${run}-${count++}`;

/** The browser contexts, pages and users of a test. */
export class Stage {
  private readonly contexts: BrowserContext[] = [];
  private readonly errors: string[] = [];
  /** How often a browser has asked before closing a page. */
  asked = 0;
  private readonly tokens = new Map<string, string>();
  readonly #browser: () => Browser;
  url: string;

  constructor(browser: () => Browser, url: string) {
    this.#browser = browser;
    this.url = url;
  }

  /** Opens a page in a new browser context, signed out. */
  async open(path = '/', options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser().newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce', ...options });
    this.contexts.push(context);
    return this.openIn(context, path);
  }

  /** Opens another page in the same browser context. */
  async openIn(context: BrowserContext, path = '/'): Promise<Page> {
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    await page.exposeFunction('__fault', (fault: string) => this.errors.push(fault));
    await page.addInitScript(() => {
      const tell = (window as unknown as { __fault: (fault: string) => void }).__fault;
      document.addEventListener('securitypolicyviolation', (event) => tell(`${event.violatedDirective} refused ${event.blockedURI || 'inline'} ${event.sample}`));
    });
    page.on('dialog', (dialog) => {
      // The browser's own dialog, if messages are unsent.
      if (dialog.type() === 'beforeunload') {
        this.asked++;
        void dialog.accept();
        return;
      }
      this.errors.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('pageerror', (error) => this.errors.push(`an error: ${error.stack ?? error.message}`));
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== this.url) this.errors.push(`a request to ${request.url()}`);
    });
    await page.goto(this.url + path);
    return page;
  }

  /** Signs a user in, in a new browser context. */
  async enter(name = uniqueName('somebody'), options: BrowserContextOptions = {}, path = '/'): Promise<Person> {
    const page = await this.open(path, options);
    await signIn(page, name);
    return new Person(this, page, name);
  }

  /** Two users with their conversation open. */
  async pair(options: BrowserContextOptions = {}): Promise<{ alice: Person; bob: Person; path: string }> {
    const [alice, bob] = [uniqueName('alice'), uniqueName('bob')];
    await this.token(bob);
    const { id } = await this.api<{ id: string }>(alice, 'POST', '/chat/conversations', { username: bob });
    const path = `/c/${id}`;
    const [one, other] = await Promise.all([alice, bob].map((name) => this.enter(name, options, path)));
    await Promise.all([one!, other!].map((person) => person.composer.waitFor()));
    return { alice: one!, bob: other!, path };
  }

  /** Calls the REST API directly. */
  async api<Answer = unknown>(person: string, method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await fetch(this.url + path, {
      method,
      headers: { Authorization: `Bearer ${await this.token(person)}`, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Answer;
  }

  async token(username: string): Promise<string> {
    const known = this.tokens.get(username);
    if (known !== undefined) return known;
    const answer = await fetch(`${this.url}/dev/token`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username }) });
    if (!answer.ok) throw new Error(`No token for ${JSON.stringify(username)}: ${answer.status} ${await answer.text()}`);
    const { token } = (await answer.json()) as { token: string };
    this.tokens.set(username, token);
    return token;
  }

  /** Returns and clears the errors that pages have reported. */
  takeErrors(): string[] {
    return this.errors.splice(0);
  }

  async clear(): Promise<void> {
    await Promise.all(this.contexts.splice(0).map((context) => context.close()));
    expect(this.takeErrors()).toEqual([]);
  }
}

export async function signIn(page: Page, name: string): Promise<void> {
  await page.getByLabel('Username').fill(name);
  await page.keyboard.press('Enter');
  await page.locator('.app').waitFor();
}

/** Checks who is signed in, by the account menu. */
export async function isSignedInAs(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Your menu' }).click();
  await page.getByRole('menu').getByText(name, { exact: true }).waitFor();
  await page.keyboard.press('Escape');
}

/** A user with a page. */
export class Person {
  readonly stage: Stage;
  readonly page: Page;
  readonly name: string;

  constructor(stage: Stage, page: Page, name: string) {
    this.stage = stage;
    this.page = page;
    this.name = name;
  }

  get composer(): Locator {
    return this.page.getByPlaceholder('Message');
  }

  get scroller(): Locator {
    return this.page.locator('.scroller');
  }

  get status(): Locator {
    return this.page.locator('section .bar-title p');
  }

  get banner(): Locator {
    return this.page.locator('.banner:not(.hidden)');
  }

  /** The row of a conversation in the list. */
  line(name: string): Locator {
    return this.page.locator('a.conversation', { has: this.page.getByText(name, { exact: true }) });
  }

  message(text: string): Locator {
    return this.page.locator('.row', { has: this.page.getByText(text, { exact: true }) });
  }

  async startWith(name: string): Promise<void> {
    await this.page.getByRole('button', { name: 'New conversation' }).first().click();
    await this.page.getByRole('dialog').getByLabel('Name').fill(name);
    await this.page.keyboard.press('Enter');
    await this.composer.waitFor();
  }

  async go(name: string): Promise<void> {
    await this.line(name).click();
    await this.composer.waitFor();
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    // On a phone Enter inserts a line.
    if (await this.page.evaluate(() => matchMedia('(hover: hover)').matches)) await this.composer.press('Enter');
    else await this.page.getByRole('button', { name: 'Send', exact: true }).click();
  }

  async sees(text: string): Promise<void> {
    await this.message(text).first().waitFor();
  }

  /** Waits until a message has this delivery status. */
  async seesStatus(text: string, status: 'sending' | 'sent' | 'delivered' | 'read' | 'failed'): Promise<void> {
    await this.message(text).locator(`[data-status=${status}]`).waitFor();
  }

  /** Blocks or unblocks the peer by the menu of the conversation; blocking asks for confirmation. */
  async changeBlock(): Promise<void> {
    await this.page.locator('section').getByRole('button', { name: 'More' }).click();
    const item = this.page.getByRole('menuitem');
    const blocks = (await item.textContent())!.startsWith('Block');
    await item.click();
    if (blocks) await this.page.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
  }

  async texts(): Promise<string[]> {
    return this.page.locator('.row .text').allTextContents();
  }
}

/** Sends many messages over one socket, without waiting for each answer. */
export async function fill(stage: Stage, sender: string, conversationId: string, contents: readonly string[]): Promise<void> {
  const { WebSocket } = await import('ws');
  const socket = new WebSocket(`${stage.url.replace('http', 'ws')}/chat/ws?token=${await stage.token(sender)}`);
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let acknowledged = 0;
    const more = () => {
      // Below the server's send queue.
      for (; sent < contents.length && sent - acknowledged < 200; sent++)
        socket.send(JSON.stringify({ type: 'message.send', id: `${sent}`, payload: { conversationId, content: contents[sent] } }));
    };
    socket.on('error', reject);
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data)) as { type: string; payload: { code?: string } };
      if (type === 'error') reject(new Error(payload.code));
      if (type === 'auth_success') more();
      if (type !== 'message.sent') return;
      if (++acknowledged === contents.length) resolve();
      else more();
    });
  });
  socket.close();
}

/** Polls until an expectation holds. */
export const eventually = <Value>(read: () => Promise<Value>) => expect.poll(read, { timeout: 30_000, interval: 50 });

/** Violations that axe finds: WCAG 2.2 AA and best practices. */
export async function violations(page: Page): Promise<string[]> {
  // By the DevTools protocol, which bypasses the content security policy.
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe: tool } = window as unknown as { axe: typeof axe };
    return (await tool.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations;
  });
  return found.map((rule) => `${rule.id}: ${rule.nodes.map((node) => `${node.html} ${node.failureSummary ?? ''}`).join(' | ')}`);
}
