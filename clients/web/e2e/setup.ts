import { execFileSync } from 'node:child_process';
import { dll, repository, startServer } from './server.ts';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    url: string;
  }
}

/** Builds the server with the committed page, and starts one for all tests but those that kill theirs. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // For work on the tests: a server that is already running.
  if (process.env.CHAT_URL) {
    project.provide('url', process.env.CHAT_URL);
    return () => Promise.resolve();
  }

  if (!process.env.CHAT_DLL) execFileSync('dotnet', ['build', 'src/Chat', '-v', 'q', '-nodeReuse:false'], { cwd: repository, stdio: ['ignore', 'ignore', 'inherit'] });
  const server = await startServer(dll);
  project.provide('url', server.url);
  return () => server.end();
}
