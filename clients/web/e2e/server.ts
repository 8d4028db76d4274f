import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';

export const repository = fileURLToPath(new URL('../../..', import.meta.url));
export const dll = process.env.CHAT_DLL ?? join(repository, 'src/Chat/bin/Debug/net10.0/Chat.dll');

const patience = 100_000;

/** A real server, in Development on what it brings with it. */
export interface Server {
  readonly url: string;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** Starts it again, at the same address and with the same data. */
  start(): Promise<void>;
  /** Ends it and takes its data away. */
  end(): Promise<void>;
}

export async function startServer(program = dll): Promise<Server> {
  const data = mkdtempSync(join(tmpdir(), 'chat-browser-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  let running: ChildProcess | undefined;
  let said = '';

  async function stop(signal: NodeJS.Signals): Promise<void> {
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, 'exit');
    running.kill(signal);
    await gone;
  }

  const server: Server = {
    url,
    kill: () => stop('SIGKILL'),
    async start() {
      running = spawn('dotnet', [program], {
        cwd: data,
        env: {
          ...process.env,
          ASPNETCORE_ENVIRONMENT: 'Development',
          ASPNETCORE_URLS: url,
          Embedded__DataPath: join(data, 'data'),
          Limits__MessagesPerSecond: '100000',
          Limits__MessagesPerSecondPerUser: '100000',
          Limits__DrainSpread: '00:00:00.1',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      running.stdout!.on('data', (text: Buffer) => (said += text.toString()));
      running.stderr!.on('data', (text: Buffer) => (said += text.toString()));
      const until = Date.now() + patience;
      while (!(await isReady(url))) {
        if (running.exitCode !== null || Date.now() > until) throw new Error(`The server did not start:\n${said}`);
        await pause(100);
      }
    },
    async end() {
      await stop('SIGTERM');
      // PostgreSQL goes a moment after the server, and writes until then.
      rmSync(data, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
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

/** Below those that the system lends to whoever connects: one of these could be taken before the server is there, or while it is away. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer().listen(port, '127.0.0.1');
    const isFree = await once(probe, 'listening').then(() => true, () => false);
    probe.close();
    if (isFree) return port;
  }
}
