import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

const startTimeout = 100_000;

/** A real server in Development, with a PostgreSQL and a Redis of its own. */
export interface TestServer {
  readonly url: string;
  /** Where it keeps its data, and the key that signs dev tokens. */
  readonly dataPath: string;
  /** Ends it like a power cut. */
  kill(): Promise<void>;
  /** Starts it again, at the same address and with the same data. */
  start(): Promise<void>;
  /** Stops it and deletes its data. */
  end(): Promise<void>;
}

/** Starts a server from its built assembly, with these settings besides its own. */
export async function startServer(dll: string, settings: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'chat-clients-'));
  const dataPath = join(folder, 'data');
  const url = `http://127.0.0.1:${await freePort()}`;
  let running: ChildProcess | undefined;
  let output = '';

  async function stop(signal: NodeJS.Signals): Promise<void> {
    const stopping = running;
    running = undefined;
    if (!stopping || stopping.exitCode !== null || stopping.signalCode !== null) return;
    const exited = once(stopping, 'exit');
    stopping.kill(signal);
    await exited;
  }

  const server: TestServer = {
    url,
    dataPath,
    kill: () => stop('SIGKILL'),
    async start() {
      output = '';
      const started = spawn('dotnet', [dll], {
        cwd: folder,
        env: { ...process.env, ASPNETCORE_ENVIRONMENT: 'Development', ASPNETCORE_URLS: url, Embedded__DataPath: dataPath, ...settings },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      running = started;
      for (const stream of [started.stdout, started.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
      const deadline = Date.now() + startTimeout;
      while (!(await isReady(url))) {
        if (started.exitCode !== null || Date.now() > deadline) throw new Error(`The server did not start:\n${output}`);
        await delay(100);
      }
    },
    async end() {
      await stop('SIGTERM');
      // PostgreSQL exits a moment after the server, and writes until then.
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    },
  };
  await server.start();
  return server;
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/health/ready`).then(
    (answer) => answer.ok,
    () => false,
  );

/** Below the ephemeral ports, one of which could be taken before the server is up, or while it is down. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer().listen(port, '127.0.0.1');
    const isFree = await once(probe, 'listening').then(() => true, () => false);
    probe.close();
    if (isFree) return port;
  }
}
