// Reads compose.yaml with the schema of the Compose specification (which dclint brings along), and each document of
// deploy/kubernetes with the validator of its kind, made from Kubernetes' own OpenAPI document. What one of these
// validators did not look at is a field that Kubernetes does not know: a slip of the pen, which the cluster would refuse.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { parse, parseAllDocuments } from 'yaml';

const { resolve } = createRequire(import.meta.url);
const checkout = fileURLToPath(new URL('../..', import.meta.url));
const read = (...path) => readFileSync(join(checkout, ...path), 'utf8');
const faults = [];

const schema = JSON.parse(readFileSync(join(dirname(resolve('dclint/package.json')), 'schemas/compose.schema.json'), 'utf8'));
const fitsCompose = new Ajv({ strict: false, allErrors: true }).compile({ ...schema, $schema: undefined });
if (!fitsCompose(parse(read('compose.yaml'), { merge: true })))
  faults.push(...fitsCompose.errors.map(({ instancePath, message, params }) => `compose.yaml${instancePath}: ${message} ${JSON.stringify(params)}`));

let documents = 0;
for (const file of readdirSync(join(checkout, 'deploy/kubernetes')))
  for (const document of parseAllDocuments(read('deploy/kubernetes', file))) {
    const manifest = document.toJS();
    const { apiVersion, kind } = manifest;
    const where = `deploy/kubernetes/${file}: ${kind} ${manifest.metadata?.name}`;
    const models = await import(`kubernetes-models/${apiVersion}`).catch(() => ({}));
    documents++;
    if (models[kind] === undefined) {
      faults.push(`${where}: there is no ${kind} in ${apiVersion}`);
      continue;
    }
    const unread = new Set();
    try {
      // Not of a model made from the manifest, since making it would read every field.
      models[kind].prototype.validate.call(watched(manifest, '', unread));
    } catch (fault) {
      faults.push(`${where}: ${fault.message}`);
    }
    faults.push(...[...unread].map((path) => `${where}: ${path} is not known`));
  }

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
else console.log(`compose.yaml and ${documents} documents of deploy/kubernetes are as their schemas say`);

/** The value, with a record of the fields that nobody has asked for yet. */
function watched(value, path, unread) {
  if (value === null || typeof value !== 'object') return value;
  const inside = Object.fromEntries(Object.entries(value).map(([name, field]) => [name, watched(field, `${path}/${name}`, unread)]));
  for (const name of Object.keys(value)) unread.add(`${path}/${name}`);
  return new Proxy(Array.isArray(value) ? Object.values(inside) : inside, {
    get(target, name) {
      unread.delete(`${path}/${String(name)}`);
      return target[name];
    },
  });
}
