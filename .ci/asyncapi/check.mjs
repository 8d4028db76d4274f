// Reads docs/asyncapi.yaml as every AsyncAPI tool does and fails on whatever the parser finds wrong with its form. That
// its examples, the server and docs/protocol.md agree with it is for Chat.Tests. Errors and warnings fail, hints are shown.
import { readFile } from 'node:fs/promises';
import { Parser } from '@asyncapi/parser';

const file = new URL('../../docs/asyncapi.yaml', import.meta.url);
const { document, diagnostics } = await new Parser().parse(await readFile(file, 'utf8'), { source: file.pathname });
const names = ['error', 'warning', 'information', 'hint'];
for (const { severity, message, path, range } of diagnostics)
  console.log(`docs/asyncapi.yaml:${range.start.line + 1}: ${names[severity]}: ${message} (${path.join('.')})`);

if (!document || diagnostics.some(({ severity }) => severity <= 1)) {
  process.exitCode = 1;
} else {
  console.log(`docs/asyncapi.yaml: ${document.allMessages().length} events, ${document.allOperations().length} operations`);
}
