// Reads docs/asyncapi.yaml as every AsyncAPI tool does and fails on whatever the parser finds wrong with its form, and on
// types that generators could not name well. That its examples, the server and docs/protocol.md agree with it is for
// Chat.Tests. Errors and warnings fail, hints are shown.
import { readFile } from 'node:fs/promises';
import { Parser } from '@asyncapi/parser';

const file = new URL('../../docs/asyncapi.yaml', import.meta.url);
const { document, diagnostics } = await new Parser().parse(await readFile(file, 'utf8'), { source: file.pathname });
const names = ['error', 'warning', 'information', 'hint'];
for (const { severity, message, path, range } of diagnostics)
  console.log(`docs/asyncapi.yaml:${range.start.line + 1}: ${names[severity]}: ${message} (${path.join('.')})`);

// A schema of which generators make a type: it has the name of its component, or its title.
const isType = ({ properties, enum: values, required, additionalProperties }) => Boolean(properties ?? values ?? required ?? additionalProperties);
const faults = [];
const schemasOf = new Map();
for (const schema of document?.allSchemas() ?? []) {
  const json = schema.json();
  if (!isType(json)) continue;
  const name = schema.id().startsWith('<anonymous') ? json.title : schema.id();
  if (!name) faults.push(`a schema without a title: ${JSON.stringify(json).slice(0, 200)}`);
  else schemasOf.set(name, (schemasOf.get(name) ?? new Set()).add(schema.id()));
}

for (const [name, schemas] of schemasOf) {
  if (schemas.size > 1) faults.push(`${schemas.size} schemas are called ${name}`);
  if (name in globalThis) faults.push(`${name} is the name of something that JavaScript has`);
}

for (const fault of faults) console.log(`docs/asyncapi.yaml: error: ${fault}`);

if (!document || faults.length > 0 || diagnostics.some(({ severity }) => severity <= 1)) {
  process.exitCode = 1;
} else {
  console.log(`docs/asyncapi.yaml: ${document.allMessages().length} events, ${document.allOperations().length} operations, ${schemasOf.size} named types`);
}
