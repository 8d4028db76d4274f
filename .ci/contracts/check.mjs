// Validates docs/asyncapi.yaml with the reference parser, and rejects schemas for which code generators could not derive a
// good type name. Errors and warnings fail, hints are printed. Chat.Tests checks that the document's examples, the server
// and docs/protocol.md agree with it.
import { readFile } from 'node:fs/promises';
import { Parser } from '@asyncapi/parser';

const file = new URL('../../docs/asyncapi.yaml', import.meta.url);
const { document, diagnostics } = await new Parser().parse(await readFile(file, 'utf8'), { source: file.pathname });
const names = ['error', 'warning', 'information', 'hint'];
for (const { severity, message, path, range } of diagnostics)
  console.log(`docs/asyncapi.yaml:${range.start.line + 1}: ${names[severity]}: ${message} (${path.join('.')})`);

// Whether generators emit a type for this schema. The type is named after its component or its title.
const isType = ({ properties, enum: values, required, additionalProperties }) => Boolean(properties ?? values ?? required ?? additionalProperties);
const errors = [];
const schemasOf = new Map();
for (const schema of document?.allSchemas() ?? []) {
  const json = schema.json();
  if (!isType(json)) continue;
  const name = schema.id().startsWith('<anonymous') ? json.title : schema.id();
  if (!name) errors.push(`schema without a title: ${JSON.stringify(json).slice(0, 200)}`);
  else schemasOf.set(name, (schemasOf.get(name) ?? new Set()).add(schema.id()));
}

for (const [name, schemas] of schemasOf) {
  if (schemas.size > 1) errors.push(`${schemas.size} schemas are named ${name}`);
  if (name in globalThis) errors.push(`${name} is a JavaScript global`);
}

for (const error of errors) console.log(`docs/asyncapi.yaml: error: ${error}`);

if (!document || errors.length > 0 || diagnostics.some(({ severity }) => severity <= 1)) {
  process.exitCode = 1;
} else {
  console.log(`docs/asyncapi.yaml: ${document.allMessages().length} events, ${document.allOperations().length} operations, ${schemasOf.size} named types`);
}
