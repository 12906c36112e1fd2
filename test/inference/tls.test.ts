import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { pino } from 'pino'
import { CertificateRule, openCertificates } from '../../access/certificates.ts'
import { clientCertificateOf, openTls, type TlsFiles } from '../../inference/server/tls.ts'
import { makeCertificate, type Pair } from '../access/x509.ts'

const authority = { ...makeCertificate({ commonName: 'authority' }), commonName: 'authority' }
const stranger = { ...makeCertificate({ commonName: 'authority' }), commonName: 'authority' }
const here = ['IP:127.0.0.1']
const log = pino({ level: 'silent' })

interface Answer {
  readonly who: string
  /** Common name of the server's certificate. */
  readonly server: string
  /** Over a connection that was there before. */
  readonly reused: boolean
}

async function serving(t: TestContext, clientAuth: TlsFiles['clientAuth'], rules: readonly object[] = []) {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-tls-'))
  const files = { certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem'), clientCaFile: join(dir, 'ca.pem') }
  const install = ({ cert, key }: Pair) => {
    writeFileSync(files.certFile, cert)
    writeFileSync(files.keyFile, key)
  }
  install(makeCertificate({ commonName: 'first', alternativeNames: here, by: authority }))
  writeFileSync(files.clientCaFile, authority.cert)
  const tls = await openTls({ ...files, clientAuth, reloadMs: 20 }, log)
  const certificates = openCertificates(rules.map((rule) => CertificateRule.parse(rule)))
  const app = Fastify({ serverFactory: (handler) => tls.createServer({ handshakeTimeout: 5_000 }, handler) })
  app.get('/', ({ socket }) => {
    const certificate = clientCertificateOf(socket)
    if (certificate === null) return 'nobody'
    const answer = certificates.authenticate(certificate, Date.now())
    return answer.ok ? answer.identity.principal : answer.reason
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  assert.ok(address !== null && typeof address === 'object')
  const { port } = address
  t.after(async () => {
    tls.close()
    await app.close()
    rmSync(dir, { recursive: true })
  })
  return { port, install, files }
}

function ask(port: number, { client, agent }: { client?: Pair; agent?: Agent } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, ca: authority.cert, agent: agent ?? false, ...client }, (response) => {
      const { socket } = response
      const server = 'getPeerX509Certificate' in socket ? subjectOf(socket) : ''
      let who = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        who += text
      })
      response.on('end', () => resolve({ who, server, reused: asked.reusedSocket }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

function subjectOf(socket: object): string {
  if (!('getPeerX509Certificate' in socket) || typeof socket.getPeerX509Certificate !== 'function') return ''
  const certificate: unknown = socket.getPeerX509Certificate()
  return typeof certificate === 'object' && certificate !== null && 'subject' in certificate ? String(certificate.subject) : ''
}

const uri = 'URI:spiffe://example.org/batch'
const rule = { uri: 'spiffe://example.org/batch', principal: 'batch' }

for (const [what, clientAuth, client, expected] of [
  ['a rule fits', 'optional', makeCertificate({ commonName: 'x', alternativeNames: ['DNS:x.example', uri], by: authority }), 'batch'],
  [
    'a rule fits, where all must have one',
    'required',
    makeCertificate({ commonName: 'x', alternativeNames: [uri], by: authority }),
    'batch',
  ],
  ['no rule fits', 'optional', makeCertificate({ commonName: 'batch', by: authority }), 'unknown'],
  ['there is none', 'optional', undefined, 'nobody'],
  [
    'another authority of that name signed',
    'optional',
    makeCertificate({ commonName: 'x', alternativeNames: [uri], by: stranger }),
    'nobody',
  ],
  ['nobody but itself signed', 'optional', makeCertificate({ commonName: 'x', alternativeNames: [uri] }), 'nobody'],
  [
    'its time is over',
    'optional',
    makeCertificate({ commonName: 'x', alternativeNames: [uri], by: authority, to: Date.now() - 1_000 }),
    'nobody',
  ],
  [
    'a name was made to be read wrongly',
    'optional',
    makeCertificate({ commonName: 'x', alternativeNames: [`DNS:x, ${uri}, DNS:y`], by: authority }),
    'unknown',
  ],
  ['nobody asked for it', 'none', makeCertificate({ commonName: 'x', alternativeNames: [uri], by: authority }), 'nobody'],
] as const)
  test(`a client whose certificate is such that ${what}: ${expected}`, async (t) => {
    const { port } = await serving(t, clientAuth, [rule])
    assert.equal((await ask(port, client === undefined ? {} : { client })).who, expected)
  })

test('where certificates are required, the handshake fails without one, and with a stranger’s', async (t) => {
  const { port } = await serving(t, 'required', [rule])
  await assert.rejects(ask(port))
  await assert.rejects(ask(port, { client: makeCertificate({ commonName: 'x', alternativeNames: [uri], by: stranger }) }))
})

test('a renewed certificate is served without a restart, and connections that stand go on', async (t) => {
  const { port, install } = await serving(t, 'none')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  assert.match((await ask(port, { agent })).server, /first/)
  install(makeCertificate({ commonName: 'second', alternativeNames: here, by: authority }))
  while (!/second/.test((await ask(port)).server)) await new Promise(setImmediate)
  assert.equal((await ask(port, { agent })).reused, true)
})

test('half of a renewal changes nothing, and the other half completes it', async (t) => {
  const { port, install, files } = await serving(t, 'none')
  const next = makeCertificate({ commonName: 'second', alternativeNames: here, by: authority })
  writeFileSync(files.certFile, next.cert)
  for (let i = 0; i < 10; i++) assert.match((await ask(port)).server, /first/)
  install(next)
  while (!/second/.test((await ask(port)).server)) await new Promise(setImmediate)
})

test('a node does not begin without a certificate, or with a key that is not its own', async (t) => {
  const { files } = await serving(t, 'none')
  const settings = { ...files, clientAuth: 'none', reloadMs: 1_000 } as const
  await assert.rejects(openTls({ ...settings, certFile: '/nowhere/cert.pem' }, log))
  writeFileSync(files.keyFile, makeCertificate({ commonName: 'other' }).key)
  await assert.rejects(openTls(settings, log))
})
