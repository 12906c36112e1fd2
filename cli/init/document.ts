import { LimitsConfiguration } from '../config/limits.ts'
import { Config } from '../config/schema.ts'
import { commented, switchedOff } from './commented.ts'
import type { IssuerPlan } from './issuer.ts'
import type { ModelPlan, Plan } from './plan.ts'

const head = `# Cordon's configuration, written by \`cordon init\`. Unknown settings are refused; docs/reference.md has all of them, with their defaults.
# A setting with a # right before it is off: take that away, and it is in force. \`cordon doctor\` says whether it will work.
# Variables of the environment stand above this file, flags above both (\`cordon config --show\`): passwords are best kept there.
# Paths are seen from where \`cordon\` is started: start it in this folder.
`

/** The text of \`cordon.config.yaml\`: what the plan says, each setting explained, and what else there is, switched off. */
export function configurationText(plan: Plan): string {
  return [head, ...partsOf(plan)].join('\n')
}

function partsOf(plan: Plan): string[] {
  const { shape } = Config
  return [
    commented('dataDir', './.cordon', shape.dataDir),
    switchedOff(
      '# Several machines, one process a role: all of them need the same secrets (`cordon secrets create`).\nsecretsFile: /etc/cordon/node.json',
    ),
    commented('inference', inferenceOf(plan), shape.inference, {
      about: 'The inference node: what clients call.',
      off: tlsOff,
    }),
    commented('console', { host: '127.0.0.1', port: plan.consolePort }, shape.console, {
      about: 'The console: the page of analysts, and what the commands speak to.',
    }),
    commented('pools', [poolOf(plan.model)], shape.pools),
    switchedOff(modelsOff(plan.model)),
    accessPart(plan.issuer),
    limitPart(plan),
    commented('policy', { engine: 'cedar', dir: './policies' }, shape.policy, {
      about: 'Whether a caller may: `cordon policy validate` after each change.',
      off: 'countryDatabase: /var/lib/GeoIP/GeoLite2-Country.mmdb',
    }),
    switchedOff('# For the first days: record what would have been done, and do nothing.\nresponse:\n  mode: dry-run'),
    busPart(plan),
    storePart(plan),
  ]
}

function inferenceOf({ port, model }: Plan) {
  const settings = { host: '127.0.0.1', port }
  return model.from === 'folder' ? { ...settings, modelsDir: model.dir } : settings
}

const tlsOff = ` TLS of our own, where no proxy ends it; clients may then show certificates (access.certificates).
tls:
  certFile: /etc/cordon/tls.pem
  keyFile: /etc/cordon/tls.key`

function poolOf(model: ModelPlan) {
  if (model.from !== 'upstream') return { name: 'local', models: [...model.models] }
  return { name: 'upstream', models: [...model.models], upstream: { protocol: model.protocol, endpoints: [model.url] } }
}

function modelsOff({ models }: ModelPlan): string {
  return `# What policies know of a model, and what it costs: limits by cost need a price.
models:
  ${models[0] ?? 'digits'}:
    labels:
      sensitivity: confidential
      owner: acme
    pricePerTokenIn: 0.0000002
    pricePerTokenOut: 0.0000006`
}

function accessPart(issuer: IssuerPlan | null): string {
  if (issuer !== null) {
    const off =
      " Nobody releases, promotes or makes keys for others without a second factor, the machine's token included.\nsecondFactor: required"
    return commented('access', { issuers: [issuer.settings] }, Config.shape.access, { off })
  }
  return switchedOff(`# Callers with tokens of an identity provider, beside API keys; docs/access.md has Okta, Entra ID and Keycloak worked out.
access:
  issuers:
    - alias: okta
      issuer: https://example.okta.com/oauth2/default
      audience: api://default
      untyped: true
      rolesClaim: groups`)
}

const monthly = `- name: organization-monthly
  over: organization
  measure: cost
  amount: 500
  calendar: month`

function limitPart({ limit }: Plan): string {
  const about = 'What each organization may cost in a month, in the currency of the prices above.'
  if (limit === null) return switchedOff(`# ${about}\nlimits:\n  rules:\n    ${monthly.replaceAll('\n', '\n    ')}`)
  const rule = { name: 'requests', over: 'principal', measure: 'requests', amount: limit.requests, windowMs: limit.windowMs }
  return commented('limits', { rules: [rule] }, LimitsConfiguration, {
    about: 'How much: `cordon limits` says what is left.',
    off: ` ${about}\n${monthly}`,
    at: ['rules'],
  })
}

function busPart({ brokers }: Plan): string {
  if (brokers.length === 0) {
    return switchedOff(`# Kafka in place of the log in this process: for several machines, one process a role (docs/operating.md).
bus:
  adapter: kafka
  brokers: [kafka-1:9092]`)
  }
  const off = ` The password comes as CORDON_BUS_PASSWORD.
ssl: true
caFile: /etc/cordon/ca.pem
replication: 3
minInsyncReplicas: 2`
  return commented('bus', { adapter: 'kafka', brokers: [...brokers] }, Config.shape.bus, { about: 'The log, on Kafka.', off })
}

function storePart({ clickhouse }: Plan): string {
  if (clickhouse === null) {
    return switchedOff(
      '# A ClickHouse server in place of the store in this process; its password comes as CORDON_STORE_PASSWORD.\nstore:\n  url: http://clickhouse:8123',
    )
  }
  return commented('store', { url: clickhouse }, Config.shape.store, {
    about: 'The store, on a ClickHouse server.',
    off: ' The password comes as CORDON_STORE_PASSWORD.\nusername: cordon',
  })
}
