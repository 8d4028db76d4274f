import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { repository, startServer } from '../../../testing/server.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address of the server under test. */
    serverUrl: string;
    /** Where tests kill the server and start it again: `POST /kill`, `POST /start`. */
    controlUrl: string;
    /** The key that the server signs and checks dev tokens with. */
    keyFile: string;
  }
}

/** Starts one server for the whole run. Tests run in other processes, and kill it over HTTP. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer(findBuilt() ?? build(), { Limits__DrainSpread: '00:00:00.2' });
  const control = createServer((request, response) => {
    const done = request.url === '/kill' ? server.kill() : request.url === '/start' ? server.start() : Promise.reject(new Error('Unknown path.'));
    done.then(() => response.writeHead(204).end(), (failure: unknown) => response.writeHead(500).end(String(failure)));
  });
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve));
  project.provide('serverUrl', server.url);
  project.provide('keyFile', join(server.dataPath, 'dev-key'));
  project.provide('controlUrl', `http://127.0.0.1:${(control.address() as { port: number }).port}`);

  return async () => {
    control.close();
    await server.end();
  };
}

/** The latest build of the server. */
function findBuilt(): string | undefined {
  return ['Release', 'Debug']
    .map((kind) => join(repository, `src/Chat/bin/${kind}/net10.0/Chat.dll`))
    .filter((path) => existsSync(path))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
}

function build(): string {
  const { status, stdout } = spawnSync('dotnet', ['build', 'src/Chat', '--nologo', '-nodeReuse:false'], { cwd: repository, encoding: 'utf8' });
  const dll = findBuilt();
  if (status !== 0 || !dll) throw new Error(`The server cannot be built:\n${stdout}`);
  return dll;
}
