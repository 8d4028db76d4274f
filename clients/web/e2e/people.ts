import axe from 'axe-core';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Locator, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';

/** A browser for the tests of a file. After each test nobody's page may have broken a rule, and all are closed. */
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
// Digits alone: of letters and digits, some look alike, and the directory gives no name that looks like another.
// Files run side by side, so each worker counts for itself.
const run = `${Date.now() % 10_000_000}${(process.env.VITEST_POOL_ID ?? '0').padStart(2, '0')}`;

/** A name that nobody else has. */
export const uniqueName = (name: string): string => `${name}-${run}-${count++}`;

/** What a test plays on. */
export class Stage {
  private readonly contexts: BrowserContext[] = [];
  private readonly errors: string[] = [];
  /** How often a browser has asked whether somebody really wants to go. */
  asked = 0;
  private readonly tokens = new Map<string, string>();
  readonly #browser: () => Browser;
  url: string;

  constructor(browser: () => Browser, url: string) {
    this.#browser = browser;
    this.url = url;
  }

  /** A window of a browser of its own, with nobody signed in. */
  async open(path = '/', options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser().newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce', ...options });
    this.contexts.push(context);
    return this.openIn(context, path);
  }

  /** Another window of the same browser. */
  async openIn(context: BrowserContext, path = '/'): Promise<Page> {
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    await page.exposeFunction('__fault', (fault: string) => this.errors.push(fault));
    await page.addInitScript(() => {
      const tell = (window as unknown as { __fault: (fault: string) => void }).__fault;
      document.addEventListener('securitypolicyviolation', (event) => tell(`${event.violatedDirective} refused ${event.blockedURI || 'inline'} ${event.sample}`));
    });
    page.on('dialog', (dialog) => {
      // The browser's own, where something is not sent yet.
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

  /** Somebody with a window, signed in. */
  async enter(name = uniqueName('somebody'), options: BrowserContextOptions = {}, path = '/'): Promise<Person> {
    const page = await this.open(path, options);
    await signIn(page, name);
    return new Person(this, page, name);
  }

  /** Two people with a conversation, which both have open. */
  async pair(options: BrowserContextOptions = {}): Promise<{ alice: Person; bob: Person; path: string }> {
    const [alice, bob] = [uniqueName('alice'), uniqueName('bob')];
    await this.token(bob);
    const { id } = await this.api<{ id: string }>(alice, 'POST', '/chat/conversations', { username: bob });
    const path = `/c/${id}`;
    const [one, other] = await Promise.all([alice, bob].map((name) => this.enter(name, options, path)));
    await Promise.all([one!, other!].map((person) => person.composer.waitFor()));
    return { alice: one!, bob: other!, path };
  }

  /** What the server gives without a page. */
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

  /** What the pages have done that they must not; empty from then on. */
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

/** Whose page it is, as their own menu says. */
export async function isSignedInAs(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Your menu' }).click();
  await page.getByRole('menu').getByText(name, { exact: true }).waitFor();
  await page.keyboard.press('Escape');
}

/** Somebody in front of a window, and what they see there. */
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

  /** The line of a conversation in the list. */
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
    // On a phone Enter makes a line.
    if (await this.page.evaluate(() => matchMedia('(hover: hover)').matches)) await this.composer.press('Enter');
    else await this.page.getByRole('button', { name: 'Send', exact: true }).click();
  }

  async sees(text: string): Promise<void> {
    await this.message(text).first().waitFor();
  }

  /** The message has come as far as this. */
  async seesStatus(text: string, status: 'sending' | 'sent' | 'delivered' | 'read' | 'failed'): Promise<void> {
    await this.message(text).locator(`[data-status=${status}]`).waitFor();
  }

  /** Opens the menu in the head of the conversation and takes what stands there; blocking asks once more. */
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

/** Says a lot, over one socket, without waiting for each answer. */
export async function fill(stage: Stage, sender: string, conversationId: string, contents: readonly string[]): Promise<void> {
  const { WebSocket } = await import('ws');
  const socket = new WebSocket(`${stage.url.replace('http', 'ws')}/chat/ws?token=${await stage.token(sender)}`);
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let acknowledged = 0;
    const more = () => {
      // Not more at a time than the server keeps for a slow reader.
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

/** Whether something becomes true soon. */
export const eventually = <Value>(read: () => Promise<Value>) => expect.poll(read, { timeout: 30_000, interval: 50 });

/** What axe finds, by WCAG 2.2 AA and its own best practices. */
export async function violations(page: Page): Promise<string[]> {
  // Over the debugger's protocol, which the page's policy does not bind.
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe: tool } = window as unknown as { axe: typeof axe };
    return (await tool.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations;
  });
  return found.map((rule) => `${rule.id}: ${rule.nodes.map((node) => `${node.html} ${node.failureSummary ?? ''}`).join(' | ')}`);
}
