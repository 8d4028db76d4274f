import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the server under test is. */
    serverUrl: string;
    /** Where to ask for its death and its return: `POST /kill`, `POST /start`. */
    controlUrl: string;
    /** The key that the server signs and checks dev tokens with. */
    keyFile: string;
  }
}

const root = fileURLToPath(new URL('../../../../', import.meta.url));

/**
 * A real server for the whole run, in Development, with PostgreSQL and Redis of its own and its data in a folder of its
 * own. Tests run in other processes, and some want it to die: so there is a small door for them.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dll = built() ?? build();
  const folder = mkdtempSync(join(tmpdir(), 'chat-clients-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  let server: ChildProcess | undefined;
  let output = '';

  async function start(): Promise<void> {
    output = '';
    const started = spawn('dotnet', [dll], {
      cwd: join(root, 'src/Chat'),
      env: {
        ...process.env,
        ASPNETCORE_ENVIRONMENT: 'Development',
        ASPNETCORE_URLS: url,
        Embedded__DataPath: folder,
        Limits__DrainSpread: '00:00:00.2',
      },
    });
    server = started;
    for (const stream of [started.stdout, started.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
    const until = Date.now() + 100_000;
    while (!(await isReady(url))) {
      if (started.exitCode !== null || Date.now() > until) throw new Error(`The server did not start:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = server;
    server = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    await ended;
  }

  const door = createServer((request, response) => {
    const done = request.url === '/kill' ? end('SIGKILL') : request.url === '/start' ? start() : Promise.reject(new Error('What?'));
    done.then(() => response.writeHead(204).end(), (failure: unknown) => response.writeHead(500).end(String(failure)));
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  await start();
  project.provide('serverUrl', url);
  project.provide('keyFile', join(folder, 'dev-key'));
  project.provide('controlUrl', `http://127.0.0.1:${(door.address() as { port: number }).port}`);

  return async () => {
    door.close();
    await end('SIGTERM');
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  };
}

/** The server as it was built last. */
function built(): string | undefined {
  return ['Release', 'Debug']
    .map((kind) => join(root, `src/Chat/bin/${kind}/net10.0/Chat.dll`))
    .filter((path) => existsSync(path))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
}

function build(): string {
  const { status, stdout } = spawnSync('dotnet', ['build', 'src/Chat', '--nologo', '-nodeReuse:false'], { cwd: root, encoding: 'utf8' });
  const dll = built();
  if (status !== 0 || !dll) throw new Error(`The server cannot be built:\n${stdout}`);
  return dll;
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/health/ready`).then((response) => response.ok, () => false);
}

/** Below those that the system lends to whoever connects: one of these could be taken before the server is there, or while it is away. */
function freePort(): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 12_000);
  return new Promise((resolve) => {
    const socket = createSocket();
    socket.once('error', () => resolve(freePort()));
    socket.listen(port, '127.0.0.1', () => socket.close(() => resolve(port)));
  });
}
