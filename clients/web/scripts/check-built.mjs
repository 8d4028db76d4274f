// Builds the page and compares it with what is committed in src/Chat/wwwroot, so that what is served is what is in the sources.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = fileURLToPath(new URL('..', import.meta.url));
const committed = join(web, '../../src/Chat/wwwroot');
const fresh = mkdtempSync(join(tmpdir(), 'chat-web-'));

const filesOf = (folder) =>
  new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(folder.length + 1), readFileSync(path)]),
  );

try {
  execFileSync('npx', ['vite', 'build', '--logLevel', 'warn'], { cwd: web, stdio: 'inherit', env: { ...process.env, OUT_DIR: fresh } });
  const [have, want] = [filesOf(committed), filesOf(fresh)];
  const faults = [
    ...[...want].filter(([name, bytes]) => !have.get(name)?.equals(bytes)).map(([name]) => `${name} ${have.has(name) ? 'differs' : 'is missing'}`),
    ...[...have.keys()].filter((name) => !want.has(name)).map((name) => `${name} is left over`),
  ];
  if (faults.length > 0) {
    console.error(`src/Chat/wwwroot is not what clients/web builds: ${faults.join(', ')}. Run "npm run build -w web" in clients and commit.`);
    process.exitCode = 1;
  } else {
    console.log(`src/Chat/wwwroot is what clients/web builds: ${want.size} files.`);
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
