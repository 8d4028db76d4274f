// compose.yaml with the schema of the Compose specification (which dclint brings along), each document of deploy/kubernetes
// and of what the Helm chart renders with the validator of its kind, made from Kubernetes' own OpenAPI document. What one
// of these validators did not look at is a field that Kubernetes does not know: a slip of the pen, which the cluster would
// refuse. The chart is rendered by the program that is named: node check.mjs [render].
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
const faults = [];
const renderer = process.argv[2];

checkCompose();
checkRunbooks();
checkMetrics();
checkRules();
faults.push(...validateDockerfile(read('Dockerfile')).map(({ range, message }) => `Dockerfile:${range.start.line + 1}: ${message}`));
const plain = readdirSync(join(checkout, 'deploy/kubernetes')).flatMap((file) => manifests(`deploy/kubernetes/${file}`, read('deploy/kubernetes', file)));
for (const manifest of plain) await checkManifest(manifest);
checkSchemaJob(plain);
checkEgress(all(plain, 'NetworkPolicy'));
const rendered = renderer === undefined ? [] : await checkChart();

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
else console.log(`Dockerfile, compose.yaml, ${plain.length} documents of deploy/kubernetes and ${rendered.length} of the chart are as their schemas say`);

function checkCompose() {
  const schema = JSON.parse(readFileSync(join(dirname(resolve('dclint/package.json')), 'schemas/compose.schema.json'), 'utf8'));
  const fits = new Ajv({ strict: false, allErrors: true }).compile({ ...schema, $schema: undefined });
  if (!fits(parse(read('compose.yaml'), { merge: true }))) faults.push(...errorsOf('compose.yaml', fits));
}

/** Whoever an alert wakes finds what to do where the alert says, and no chapter is left of an alert that is gone. */
function checkRunbooks() {
  const alerts = parse(read('deploy/grafana/chat-alerts.yaml')).groups.flatMap(({ rules }) => rules);
  const chapters = new Set([...read('docs/operations.md').matchAll(/^### (Chat\w+)$/gm)].map(([, name]) => name));
  for (const { alert, annotations } of alerts)
    if (!annotations.runbook_url?.endsWith(`/operations.md#${alert.toLowerCase()}`) || !chapters.delete(alert)) faults.push(`${alert} has no runbook in docs/operations.md`);
  faults.push(...[...chapters].map((name) => `docs/operations.md has a runbook for ${name}, which is no alert`));
}

/** What the table of metrics lists is on the dashboard, and what dashboard and alerts ask for is in the table. */
function checkMetrics() {
  const known = [...read('docs/operations.md').matchAll(/^\| `(chat\.[a-z_.]+)` \|/gm)].map(([, name]) => name.replaceAll('.', '_'));
  const asked = (file) => new Set(read(file).match(/\bchat_[a-z_]+/g));
  const isFor = (series) => (name) => series === name || (series.startsWith(`${name}_`) && /^(_seconds)?(_total|_bucket|_sum|_count)?$/.test(series.slice(name.length)));
  const dashboard = asked('deploy/grafana/chat-dashboard.json');
  for (const series of new Set([...dashboard, ...asked('deploy/grafana/chat-alerts.yaml')]))
    if (!known.some(isFor(series))) faults.push(`deploy/grafana asks for ${series}, which docs/operations.md does not know`);
  for (const name of known)
    if (![...dashboard].some((series) => isFor(series)(name))) faults.push(`the dashboard shows nothing of ${name}`);
}

/** The chart brings the rules along, which a package of its own cannot take from elsewhere. They are asked as often as nodes are. */
function checkRules() {
  const rules = read('deploy/grafana/chat-alerts.yaml');
  if (read('deploy/helm/chat/files/chat-alerts.yaml') !== rules) faults.push('deploy/helm/chat/files/chat-alerts.yaml is out of date: cp deploy/grafana/chat-alerts.yaml deploy/helm/chat/files/');
  const { scrape_interval: scrape, evaluation_interval: evaluation } = parse(read('deploy/prometheus/prometheus.yaml')).global;
  const groups = parse(rules).groups.map(({ interval }) => interval);
  if ([evaluation, ...groups].some((interval) => interval !== scrape)) faults.push(`deploy: nodes are asked every ${scrape}, and the rules every ${[evaluation, ...groups].join(', ')}`);
}

/** What the documents have nodes connect to is let through: PostgreSQL, and Redis with TLS and without. */
function checkEgress(policies) {
  for (const { where, document } of policies) {
    const open = document.spec.egress.flatMap(({ ports }) => ports.map(({ port }) => port));
    const redis = [...read('docs/operations.md').matchAll(/\bredis:(\d+)/g)].map(([, port]) => Number(port));
    for (const port of [5432, 6379, ...redis]) if (!open.includes(port)) faults.push(`${where}: nothing gets out to port ${port}`);
  }
}

function manifests(where, text) {
  return parseAllDocuments(text).map((document) => ({ where, document: document.toJS() }));
}

async function checkManifest({ where: file, document }) {
  const { apiVersion, kind, metadata } = document;
  const where = `${file}: ${kind} ${metadata?.name}`;
  const models = await modelsOf(apiVersion);
  if (models[kind] === undefined) return void faults.push(`${where}: there is no ${kind} in ${apiVersion}`);
  const unread = new Set();
  try {
    // Not of a model made from the manifest, since making it would read every field.
    models[kind].prototype.validate.call(watched(document, '', unread));
  } catch (fault) {
    faults.push(`${where}: ${fault.message}`);
  }
  faults.push(...[...unread].map((path) => `${where}: ${path} is not known`));
}

async function modelsOf(apiVersion) {
  const from = apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  return import(`${from}/${apiVersion}`).catch(() => ({}));
}

/** A Job's pod cannot be changed: a second apply works only under another name. */
function checkSchemaJob(plain) {
  const version = imageOf(one(plain, 'Deployment')).split(':').at(-1);
  const { document: job } = one(plain, 'Job');
  if (job.metadata.name !== `chat-schema-${version.replaceAll('.', '-')}` || job.metadata.labels.version !== version || !imageOf({ document: job }).endsWith(`:${version}`))
    faults.push(`deploy/kubernetes: the Job's name, label and image do not all say ${version}, as the Deployment's image does`);
}

async function checkChart() {
  const chart = 'deploy/helm/chat';
  const fits = new Ajv({ strict: false, allErrors: true }).compile(JSON.parse(read(chart, 'values.schema.json')));
  const rendered = readdirSync(join(checkout, chart, 'ci')).flatMap((file) => {
    const { values, documents, notes } = render(join(checkout, chart, 'ci', file));
    if (!fits(values)) faults.push(...errorsOf(`${chart}/ci/${file}`, fits));
    if (/\{\{|<nil>|%!/.test(notes)) faults.push(`${chart}: the notes for ${file} are not rendered`);
    return Object.entries(documents).flatMap(([template, text]) => manifests(`${chart}/templates/${template} with ${file}`, text));
  });
  for (const manifest of rendered) await checkManifest(manifest);
  checkEgress(all(rendered, 'NetworkPolicy'));
  for (const { where, document } of all(rendered, 'PrometheusRule'))
    if (document.spec.groups?.[0].rules.length !== parse(read('deploy/grafana/chat-alerts.yaml')).groups[0].rules.length) faults.push(`${where}: the rules are not all there`);

  // What must not get through: each of these is refused where it is asked for, and not by a node that does not start.
  for (const [what, change] of Object.entries({
    'no image': (values) => (values.image.repository = ''),
    'no secret': (values) => (values.existingSecret = ''),
    'a slip of the pen': (values) => (values.replica = 3),
    'a secret among the settings': (values) => (values.config.Jwt__Key = 'secret'),
    'a fraction, which would be cut': (values) => (values.config.Limits__PingInterval = 0.5),
  })) {
    const { values } = render(join(checkout, chart, 'ci/minimal-values.yaml'));
    change(values);
    if (fits(values)) faults.push(`${chart}/values.schema.json accepts ${what}`);
  }

  // Numbers become floating-point in Helm.
  const { documents } = renderWith({ image: { repository: 'chat' }, existingSecret: 'chat', config: { Limits__MaxConnections: 1000000 } });
  if (!documents['deployment.yaml'].includes('value: "1000000"')) faults.push(`${chart}: a setting of a million is not written as 1000000`);

  // A pod is the same pod, whichever of the two brought it.
  const [byChart, byHand] = [rendered, plain].map((all) => one(all, 'Deployment').document.spec);
  for (const [part, of] of Object.entries({
    'the strategy': (spec) => [spec.strategy, spec.minReadySeconds],
    'the pod': ({ template: { spec } }) => [spec.securityContext, spec.automountServiceAccountToken, spec.terminationGracePeriodSeconds, spec.volumes],
    'the container': ({ template: { spec: { containers: [it] } } }) => [it.securityContext, it.lifecycle, it.startupProbe, it.livenessProbe, it.readinessProbe, it.ports, it.resources, it.volumeMounts],
  }))
    if (!isDeepStrictEqual(of(byChart), of(byHand))) faults.push(`${part} of the Deployment is not the same in deploy/kubernetes and in the chart`);
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
  if (found.length === 0) faults.push(`there is no ${kind} to look at`);
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
