import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { openAuthenticator } from '../../../access/callers.ts'
import { CertificateRule, openCertificates } from '../../../access/certificates.ts'
import { Failures } from '../../../access/failures.ts'
import type { KeyRegistry } from '../../../access/key-registry.ts'
import { OidcIssuer } from '../../../access/oidc/issuer.ts'
import { IssuerSettings } from '../../../access/oidc/settings.ts'
import { openAuditTrail } from '../../../audit/trail.ts'
import type { EventBus } from '../../../bus/port.ts'
import { meteringOf } from '../../../cli/instance/limits.ts'
import { permissionOf } from '../../../cli/instance/policy.ts'
import { configurations, ModelConfiguration } from '../../../inference/configuration.ts'
import type { Emitter } from '../../../inference/emitter/emitter.ts'
import { openPromptFingerprinter } from '../../../inference/prompt/fingerprint.ts'
import type { NodeOptions } from '../../../inference/server/options.ts'
import { openTls } from '../../../inference/server/tls.ts'
import { openAllocator } from '../../../limits/allocator.ts'
import { openNodeMeter } from '../../../limits/node-meter.ts'
import { LimitRule } from '../../../limits/rules.ts'
import { CedarEngine } from '../../../policy/cedar.ts'
import { policyRequests } from '../../../policy/context.ts'
import { counted } from '../../../policy/counted.ts'
import { defaultFolder, readPolicies } from '../../../policy/directory.ts'
import { policySetOf } from '../../../policy/policy-set.ts'
import { chatModel } from './answers.ts'
import type { Secure } from './connection.ts'
import { makeWires } from './wires.ts'

/** What of the node's doors is on, beyond API keys. */
export type Feature = 'jwt' | 'tls' | 'policy' | 'limits' | 'audit' | 'redaction' | 'hardening'

export interface Around {
  readonly dir: string
  readonly bus: EventBus
  readonly emitter: Emitter
  readonly keys: Pick<KeyRegistry, 'verify' | 'get'>
  readonly registry: Registry
  readonly log: Logger
}

export interface Doors {
  /** Those of the node's options that the features are made of. */
  readonly options: Partial<NodeOptions> & Pick<NodeOptions, 'authenticator'>
  /** A token, where callers bring one in place of their key. */
  readonly bearer: string | undefined
  /** How clients connect; undefined over plain HTTP. */
  readonly secure: Secure | undefined
}

/** The doors of a node as `cordon start` opens them, with an identity provider, an authority and a sharer of limits of our own. */
export async function openDoors(features: readonly Feature[], around: Around): Promise<Doors> {
  const { dir, emitter, keys, registry, log } = around
  const on = (feature: Feature) => features.includes(feature)
  const configurationOf = configurations(modelsOf(on))
  const issuer = on('jwt') ? await openIssuer() : undefined
  const wires = on('tls') ? await openWires(dir, log) : undefined
  const rule = CertificateRule.parse({ commonName: 'client', principal: 'bench', organization: 'acme' })
  const authenticator = openAuthenticator({
    ...{ keys, registry, log, pseudonym: (address: string) => address },
    oidc: issuer === undefined ? [] : [issuer.oidc],
    certificates: openCertificates(wires === undefined ? [] : [rule]),
    failures: new Failures({ perMinute: 60, maxSources: 10_000, linesPerMinute: 60 }),
  })
  const options: Doors['options'] = {
    authenticator,
    configurationOf,
    prompts: openPromptFingerprinter({ key: new Uint8Array(32), epoch: 0 }),
    ...(wires === undefined ? {} : { tls: wires.tls }),
    ...(on('policy') ? { permission: permissionBy(configurationOf, registry) } : {}),
    ...(on('limits') ? { metering: await openMetering(around, configurationOf) } : {}),
    ...(on('audit') ? { audit: openTrail(join(dir, 'audit'), emitter, log) } : {}),
  }
  return { options, bearer: issuer?.token, secure: wires?.secure }
}

function modelsOf(on: (feature: Feature) => boolean) {
  const redaction = { redaction: { input: 'token', output: 'restore' }, sanitise: { input: 'strip', output: 'strip' } }
  const hardening = { level: 'rounded', decimals: 3, noise: 0.02, padTo: 1_024, watermark: 'everyone' }
  return {
    digits: ModelConfiguration.parse(on('hardening') ? { hardening } : {}),
    [chatModel]: ModelConfiguration.parse(on('redaction') ? { text: redaction } : {}),
  }
}

/** Its keys are fetched from this process, and no token is verified twice: so it is with a provider elsewhere after the first request. */
async function openIssuer() {
  const settings = IssuerSettings.parse({
    alias: 'idp',
    issuer: 'https://idp.example',
    audience: 'cordon',
    jwks: 'https://idp.example/jwks',
  })
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const keySet = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] }
  const onError = (error: unknown) => {
    throw error
  }
  const oidc = new OidcIssuer({ settings, download: async () => keySet, clock: Date.now, onError })
  const signed = new SignJWT({ sub: 'bench' }).setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt' })
  const token = await signed.setIssuer(settings.issuer).setAudience('cordon').setIssuedAt().setExpirationTime('1h').sign(privateKey)
  return { oidc, token }
}

async function openWires(dir: string, log: Logger) {
  mkdirSync(dir, { recursive: true })
  const { authority, server, client } = makeWires()
  const files = { certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem'), clientCaFile: join(dir, 'ca.pem') }
  writeFileSync(files.certFile, server.cert)
  writeFileSync(files.keyFile, server.key)
  writeFileSync(files.clientCaFile, authority)
  const tls = await openTls({ ...files, clientAuth: 'required', reloadMs: 600_000 }, log)
  return { tls, secure: client }
}

/** The default policies. */
function permissionBy(configurationOf: NodeOptions['configurationOf'], registry: Registry) {
  const risks = { of: () => 0 }
  const engine = counted(new CedarEngine(policySetOf(readPolicies(defaultFolder))), registry)
  return permissionOf({ engine, risks, requestOf: policyRequests({ countryOf: null, risks }) }, configurationOf)
}

/** Three limits that every request meets and none reaches. */
async function openMetering({ bus, log }: Around, configurationOf: NodeOptions['configurationOf']) {
  const rules = [
    LimitRule.parse({ name: 'calls', measure: 'requests', amount: 1e9, windowMs: 60_000 }),
    LimitRule.parse({ name: 'tokens', measure: 'tokens', amount: 1e12, calendar: 'day' }),
    LimitRule.parse({ name: 'money', over: 'organization', measure: 'cost', amount: 1e9, calendar: 'month' }),
  ]
  const charge = { held: true, publish: bus.publish.bind(bus), follow: () => {}, onTake: () => {} }
  await openAllocator({ bus, charge, rules, nodes: 1, clock: Date.now, log, source: 'bench' })
  const meter = await openNodeMeter({ bus, rules, node: 'bench', nodes: 1, whenAway: 'refuse', clock: Date.now, log })
  return meteringOf(meter, () => 0, { configurationOf, prices: { perItem: 0.0001 } })
}

function openTrail(dir: string, emitter: Emitter, log: Logger) {
  mkdirSync(dir, { recursive: true })
  return openAuditTrail({
    ...{ writer: 'bench', dir, clock: Date.now, log },
    emit: (event) => emitter.emit('audit', event),
    flush: () => emitter.flush(),
  })
}
