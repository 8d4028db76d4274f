import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

/*
 * The types in src/wire.ts match docs/asyncapi.yaml and docs/openapi.json. Both sides are converted to the same description of a shape
 * (a string for a value, an object for fields, `?` for optional ones) and compared.
 */
type Shape = string | readonly Shape[] | { readonly [field: string]: Shape };

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly oneOf?: readonly Schema[];
}

const docs = (name: string) => readFileSync(fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url)), 'utf8');
const asyncApi = parse(docs('asyncapi.yaml'));
const openApi = JSON.parse(docs('openapi.json'));

function shapeOfSchema(document: unknown, schema: Schema): Shape {
  if (schema.$ref !== undefined) {
    const steps = schema.$ref.replace('#/', '').split('/');
    return shapeOfSchema(document, steps.reduce((part, step) => (part as Record<string, unknown>)[step], document) as Schema);
  }

  if (schema.enum) return schema.enum.map((value) => `'${value}'`).sort().join(' | ');
  if (schema.const !== undefined) return `'${schema.const}'`;
  // OpenAPI declares optional fields as nullable; the protocol omits them.
  const some = schema.oneOf?.filter((option) => option.type !== 'null');
  if (!schema.properties && some?.length === 1) return shapeOfSchema(document, some[0]!);
  const type = Array.isArray(schema.type) ? schema.type.find((name) => name !== 'null') : schema.type;
  if (type === 'array') return [shapeOfSchema(document, schema.items!)];
  if (type === 'object' || schema.properties) {
    if (!schema.properties) return { '[key]': shapeOfSchema(document, schema.additionalProperties as Schema) };
    const fields = Object.entries(schema.properties).map(([name, field]) => [
      schema.required?.includes(name) ? name : `${name}?`,
      shapeOfSchema(document, field),
    ]);
    return Object.fromEntries(fields);
  }

  if (type === undefined) return schema.format === undefined ? 'unknown' : 'string';
  return type === 'integer' ? 'number' : type;
}

const source = fileURLToPath(new URL('../src/wire.ts', import.meta.url));
const program = ts.createProgram([source], { strict: true, exactOptionalPropertyTypes: true, target: ts.ScriptTarget.ES2022, noEmit: true });
const checker = program.getTypeChecker();
const file = program.getSourceFile(source)!;
const exported = new Map(checker.getExportsOfModule(checker.getSymbolAtLocation(file)!).map((symbol) => [symbol.name, symbol]));

function shapeOfType(type: ts.Type): Shape {
  if (type.isStringLiteral()) return `'${type.value}'`;
  if (type.isUnion() && type.types.every((option) => option.isStringLiteral()))
    return type.types.map((option) => shapeOfType(option)).sort().join(' | ');
  const primitive = checker.typeToString(type);
  if (['string', 'number', 'boolean', 'unknown'].includes(primitive)) return primitive;
  if (checker.isArrayType(type)) return [shapeOfType(checker.getTypeArguments(type as ts.TypeReference)[0]!)];
  const index = checker.getIndexInfoOfType(type, ts.IndexKind.String);
  if (index) return { '[key]': shapeOfType(index.type) };
  return Object.fromEntries(
    checker.getPropertiesOfType(type).map((field) => {
      const isOptional = (field.flags & ts.SymbolFlags.Optional) !== 0;
      const type = checker.getTypeOfSymbol(field);
      return isOptional ? [`${field.name}?`, shapeOfOptional(type)] : [field.name, shapeOfType(type)];
    }),
  );
}

// Optional is expressed by the `?`, not by the type. (`unknown` without undefined would be nothing.)
const shapeOfOptional = (type: ts.Type) => (type.flags & ts.TypeFlags.Unknown ? 'unknown' : shapeOfType(checker.getNonNullableType(type)));

const named = (name: string): ts.Type => {
  const symbol = exported.get(name);
  if (!symbol) throw new Error(`src/wire.ts has no type ${name}.`);
  return checker.getDeclaredTypeOfSymbol(symbol);
};

const eventsOf = (name: string) => new Map(checker.getPropertiesOfType(named(name)).map((event) => [event.name, shapeOfType(checker.getTypeOfSymbol(event))]));

interface Operation {
  readonly action: 'send' | 'receive';
  readonly messages: readonly { $ref: string }[];
  readonly reply?: { readonly messages: readonly { $ref: string }[] };
}

const operations = Object.values(asyncApi.operations) as Operation[];
const names = (messages: readonly { $ref: string }[] = []) => messages.map((message) => message.$ref.split('/').at(-1)!);
const sorted = (all: Iterable<string>) => [...new Set(all)].sort();

describe('the socket', () => {
  const fromClient = sorted(operations.filter(({ action }) => action === 'receive').flatMap(({ messages }) => names(messages)));
  const fromServer = sorted(operations.flatMap(({ action, messages, reply }) => [...(action === 'send' ? names(messages) : []), ...names(reply?.messages)]));

  test('has the same events in both directions of the contract', () => {
    expect(sorted(eventsOf('ClientEvents').keys())).toEqual(fromClient);
    expect(sorted(eventsOf('ServerEvents').keys())).toEqual(fromServer);
    expect(sorted([...fromClient, ...fromServer])).toEqual(sorted(Object.keys(asyncApi.components.messages)));
  });

  test.each([
    ...fromClient.map((event) => ['ClientEvents', event] as const),
    ...fromServer.map((event) => ['ServerEvents', event] as const),
  ])('%s: %s', (map, event) => {
    const payload = asyncApi.components.messages[event].payload.properties.payload as Schema;
    expect(eventsOf(map).get(event)).toEqual(shapeOfSchema(asyncApi, payload));
  });
});

describe('REST', () => {
  const answers = [
    ['get', '/chat/conversations', 'ConversationPage'],
    ['get', '/chat/conversations/{id}', 'Conversation'],
    ['post', '/chat/conversations', 'Conversation'],
    ['get', '/chat/conversations/{id}/messages', 'MessagePage'],
    ['get', '/chat/unread', 'UnreadSummary'],
    ['get', '/chat/blocks', 'BlockList'],
    ['put', '/chat/blocks/{userId}', 'BlockAdded'],
    ['delete', '/chat/blocks/{userId}', 'BlockRemoved'],
    ['get', '/chat/presence', 'StatusBulk'],
  ] as const;

  test.each(answers)('%s %s', (method, path, name) => {
    const answer = openApi.paths[path][method].responses['200'].content['application/json'].schema as Schema;
    // OpenAPI leaves the kinds of messages open.
    const shape = JSON.stringify(shapeOfType(named(name))).replaceAll(`"'text'"`, '"string"');
    expect(JSON.parse(shape)).toEqual(shapeOfSchema(openApi, answer));
  });

  test('DELETE /chat/sessions answers without a body', () => {
    expect(openApi.paths['/chat/sessions'].delete.responses['204']).not.toHaveProperty('content');
  });

  test('identifies a person like the socket does', () => {
    const body = openApi.paths['/chat/conversations'].post.requestBody.content['application/json'].schema as Schema;
    expect(shapeOfType(named('PersonRef'))).toEqual(shapeOfSchema(openApi, body));
  });

  test('problem details', () => {
    expect(shapeOfType(named('Problem'))).toEqual(shapeOfSchema(openApi, openApi.components.schemas.ProblemDetails as Schema));
  });
});
