// Validates compose.yaml against the Compose specification's schema (shipped with dclint), and every document of
// deploy/kubernetes and of the rendered Helm chart with the validator of its kind, generated from Kubernetes' OpenAPI
// document. A field that a validator never reads is unknown to Kubernetes: a typo, which the cluster would reject. The
// chart is rendered with the given program: node check.mjs [render].
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import Ajv from 'ajv';
import { validate as validateDockerfile } from 'dockerfile-utils';
import { parse, parseAllDocuments } from 'yaml';

const { resolve } = createRequire(import.meta.url);
const checkout = fileURLToPath(new URL('../..', import.meta.url));
const read = (...path) => readFileSync(join(checkout, ...path), 'utf8');
const failures = [];
const renderer = process.argv[2];

checkCompose();
checkRunbooks();
checkMetrics();
checkRules();
failures.push(...validateDockerfile(read('Dockerfile')).map(({ range, message }) => `Dockerfile:${range.start.line + 1}: ${message}`));
const plain = readdirSync(join(checkout, 'deploy/kubernetes')).flatMap((file) => manifests(`deploy/kubernetes/${file}`, read('deploy/kubernetes', file)));
for (const manifest of plain) await checkManifest(manifest);
checkSchemaJob(plain);
checkEgress(all(plain, 'NetworkPolicy'));
const rendered = renderer === undefined ? [] : await checkChart();

for (const failure of failures) console.error(failure);
if (failures.length > 0) process.exitCode = 1;
else console.log(`Dockerfile, compose.yaml, ${plain.length} documents of deploy/kubernetes and ${rendered.length} of the chart are valid`);

function checkCompose() {
  const schema = JSON.parse(readFileSync(join(dirname(resolve('dclint/package.json')), 'schemas/compose.schema.json'), 'utf8'));
  const validate = new Ajv({ strict: false, allErrors: true }).compile({ ...schema, $schema: undefined });
  if (!validate(parse(read('compose.yaml'), { merge: true }))) failures.push(...errorsOf('compose.yaml', validate));
}

/** Every alert's runbook URL leads to a chapter, and every runbook chapter belongs to an alert. */
function checkRunbooks() {
  const alerts = parse(read('deploy/grafana/chat-alerts.yaml')).groups.flatMap(({ rules }) => rules);
  const chapters = new Set([...read('docs/operations.md').matchAll(/^### (Chat\w+)$/gm)].map(([, name]) => name));
  for (const { alert, annotations } of alerts)
    if (!annotations.runbook_url?.endsWith(`/operations.md#${alert.toLowerCase()}`) || !chapters.delete(alert)) failures.push(`${alert} has no runbook in docs/operations.md`);
  failures.push(...[...chapters].map((name) => `docs/operations.md has a runbook for ${name}, which is not an alert`));
}

/** Every metric of the documentation is on the dashboard, and every metric that dashboard and alerts query is documented. */
function checkMetrics() {
  const documented = [...read('docs/operations.md').matchAll(/^\| `(chat\.[a-z_.]+)` \|/gm)].map(([, name]) => name.replaceAll('.', '_'));
  const queried = (file) => new Set(read(file).match(/\bchat_[a-z_]+/g));
  const isFor = (series) => (name) => series === name || (series.startsWith(`${name}_`) && /^(_seconds)?(_total|_bucket|_sum|_count)?$/.test(series.slice(name.length)));
  const dashboard = queried('deploy/grafana/chat-dashboard.json');
  for (const series of new Set([...dashboard, ...queried('deploy/grafana/chat-alerts.yaml')]))
    if (!documented.some(isFor(series))) failures.push(`deploy/grafana queries ${series}, which docs/operations.md does not document`);
  for (const name of documented)
    if (![...dashboard].some((series) => isFor(series)(name))) failures.push(`the dashboard does not show ${name}`);
}

/** The chart, a package of its own, contains a copy of the rules. Rules are evaluated at the scrape interval. */
function checkRules() {
  const rules = read('deploy/grafana/chat-alerts.yaml');
  if (read('deploy/helm/chat/files/chat-alerts.yaml') !== rules) failures.push('deploy/helm/chat/files/chat-alerts.yaml is out of date: cp deploy/grafana/chat-alerts.yaml deploy/helm/chat/files/');
  const { scrape_interval: scrape, evaluation_interval: evaluation } = parse(read('deploy/prometheus/prometheus.yaml')).global;
  const groups = parse(rules).groups.map(({ interval }) => interval);
  if ([evaluation, ...groups].some((interval) => interval !== scrape)) failures.push(`deploy: nodes are scraped every ${scrape}, and the rules evaluated every ${[evaluation, ...groups].join(', ')}`);
}

/** Network policies allow the documented connections of a node: PostgreSQL, and Redis with and without TLS. */
function checkEgress(policies) {
  for (const { where, document } of policies) {
    const allowed = document.spec.egress.flatMap(({ ports }) => ports.map(({ port }) => port));
    const redis = [...read('docs/operations.md').matchAll(/\bredis:(\d+)/g)].map(([, port]) => Number(port));
    for (const port of [5432, 6379, ...redis]) if (!allowed.includes(port)) failures.push(`${where}: egress to port ${port} is blocked`);
  }
}

function manifests(where, text) {
  return parseAllDocuments(text).map((document) => ({ where, document: document.toJS() }));
}

async function checkManifest({ where: file, document }) {
  const { apiVersion, kind, metadata } = document;
  const where = `${file}: ${kind} ${metadata?.name}`;
  const models = await modelsOf(apiVersion);
  if (models[kind] === undefined) return void failures.push(`${where}: ${apiVersion} has no kind ${kind}`);
  const unread = new Set();
  try {
    // Not on a model built from the manifest: building it would read every field.
    models[kind].prototype.validate.call(watched(document, '', unread));
  } catch (error) {
    failures.push(`${where}: ${error.message}`);
  }
  failures.push(...[...unread].map((path) => `${where}: unknown field ${path}`));
}

async function modelsOf(apiVersion) {
  const from = apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  return import(`${from}/${apiVersion}`).catch(() => ({}));
}

/** A Job's pod template is immutable: a new version needs a Job of another name. */
function checkSchemaJob(plain) {
  const version = imageOf(one(plain, 'Deployment')).split(':').at(-1);
  const { document: job } = one(plain, 'Job');
  if (job.metadata.name !== `chat-schema-${version.replaceAll('.', '-')}` || job.metadata.labels.version !== version || !imageOf({ document: job }).endsWith(`:${version}`))
    failures.push(`deploy/kubernetes: the Job's name, label and image do not all have ${version}, the version of the Deployment's image`);
}

async function checkChart() {
  const chart = 'deploy/helm/chat';
  const validate = new Ajv({ strict: false, allErrors: true }).compile(JSON.parse(read(chart, 'values.schema.json')));
  const rendered = readdirSync(join(checkout, chart, 'ci')).flatMap((file) => {
    const { values, documents, notes } = render(join(checkout, chart, 'ci', file));
    if (!validate(values)) failures.push(...errorsOf(`${chart}/ci/${file}`, validate));
    if (/\{\{|<nil>|%!/.test(notes)) failures.push(`${chart}: the notes for ${file} are not rendered`);
    return Object.entries(documents).flatMap(([template, text]) => manifests(`${chart}/templates/${template} with ${file}`, text));
  });
  for (const manifest of rendered) await checkManifest(manifest);
  checkEgress(all(rendered, 'NetworkPolicy'));
  for (const { where, document } of all(rendered, 'PrometheusRule'))
    if (document.spec.groups?.[0].rules.length !== parse(read('deploy/grafana/chat-alerts.yaml')).groups[0].rules.length) failures.push(`${where}: rules are missing`);

  // Invalid values must be rejected by the schema, instead of by a node that fails to start.
  for (const [what, change] of Object.entries({
    'no image': (values) => (values.image.repository = ''),
    'no secret': (values) => (values.existingSecret = ''),
    'a misspelled value': (values) => (values.replica = 3),
    'a secret among the settings': (values) => (values.config.Jwt__Key = 'secret'),
    'a fraction, which would be truncated': (values) => (values.config.Limits__PingInterval = 0.5),
  })) {
    const { values } = render(join(checkout, chart, 'ci/minimal-values.yaml'));
    change(values);
    if (validate(values)) failures.push(`${chart}/values.schema.json accepts ${what}`);
  }

  // Helm parses numbers as floating-point.
  const { documents } = renderWith({ image: { repository: 'chat' }, existingSecret: 'chat', config: { Limits__MaxConnections: 1000000 } });
  if (!documents['deployment.yaml'].includes('value: "1000000"')) failures.push(`${chart}: a setting of a million is not written as 1000000`);

  // Both ways of deployment produce the same pod.
  const [fromChart, fromManifest] = [rendered, plain].map((all) => one(all, 'Deployment').document.spec);
  for (const [part, of] of Object.entries({
    'the strategy': (spec) => [spec.strategy, spec.minReadySeconds],
    'the pod': ({ template: { spec } }) => [spec.securityContext, spec.automountServiceAccountToken, spec.terminationGracePeriodSeconds, spec.volumes],
    'the container': ({ template: { spec: { containers: [it] } } }) => [it.securityContext, it.lifecycle, it.startupProbe, it.livenessProbe, it.readinessProbe, it.ports, it.resources, it.volumeMounts],
  }))
    if (!isDeepStrictEqual(of(fromChart), of(fromManifest))) failures.push(`${part} of the Deployment differs between deploy/kubernetes and the chart`);
  return rendered;
}

function render(values) {
  return JSON.parse(execFileSync(renderer, [join(checkout, 'deploy/helm/chat'), values], { encoding: 'utf8' }));
}

function renderWith(values) {
  const scratch = mkdtempSync(join(tmpdir(), 'chart-'));
  try {
    const file = join(scratch, 'values.json');
    writeFileSync(file, JSON.stringify(values));
    return render(file);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function all(manifests, kind) {
  const found = manifests.filter(({ document }) => document.kind === kind);
  if (found.length === 0) failures.push(`no ${kind} found`);
  return found;
}

function one(manifests, kind) {
  return manifests.find(({ document }) => document.kind === kind);
}

function imageOf({ document }) {
  return document.spec.template.spec.containers[0].image;
}

function errorsOf(where, { errors }) {
  return errors.map(({ instancePath, message, params }) => `${where}${instancePath}: ${message} ${JSON.stringify(params)}`);
}

/** Wraps a value so that `unread` holds the paths of the fields that were not read yet. */
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
