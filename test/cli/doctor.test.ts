import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { z } from 'zod'
import { Administrators } from '../../access/administrators.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { TopicPlan } from '../../bus/port.ts'
import { loadConfig } from '../../cli/config/load.ts'
import { Config } from '../../cli/config/schema.ts'
import { busCheck, judgeTopics } from '../../cli/doctor/bus.ts'
import { certificateCheck } from '../../cli/doctor/certificates.ts'
import { type Check, type DoctorContext, examine, type Result } from '../../cli/doctor/check.ts'
import { clockCheck } from '../../cli/doctor/clock.ts'
import { readingOf } from '../../cli/doctor/clock-reading.ts'
import { configurationCheck } from '../../cli/doctor/configuration.ts'
import { judgeDescriptors } from '../../cli/doctor/descriptors.ts'
import { diskCheck, judgeDisk } from '../../cli/doctor/disk.ts'
import { instanceCheck } from '../../cli/doctor/instance.ts'
import { issuerCheck } from '../../cli/doctor/issuers.ts'
import { modelCheck } from '../../cli/doctor/models.ts'
import { loads } from '../../cli/doctor/native-parts.ts'
import { judgeFile, permissionCheck } from '../../cli/doctor/permissions.ts'
import { policyCheck } from '../../cli/doctor/policies.ts'
import { listenersOf, portCheck } from '../../cli/doctor/ports.ts'
import { priceCheck } from '../../cli/doctor/prices.ts'
import { holderOf } from '../../cli/doctor/running.ts'
import { secretCheck } from '../../cli/doctor/secrets.ts'
import { storeCheck } from '../../cli/doctor/store.ts'
import { upstreamCheck } from '../../cli/doctor/upstreams.ts'
import { openNodeSecrets, openToken } from '../../cli/instance/secrets.ts'
import { audience, openProvider } from '../access/provider.ts'
import { makeCertificate } from '../access/x509.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'

const at = Date.parse('2026-11-22T09:00:00Z')
const day = 86_400_000

function given(t: TestContext, settings: z.input<typeof Config> = {}, more: Partial<DoctorContext> = {}): DoctorContext {
  const config = Config.parse({ dataDir: temporaryDataDir(t), ...settings })
  return { config, file: null, now: Date.now, clocks: new Map(), held: null, running: async () => null, ...more }
}

async function serve(t: TestContext, answer: RequestListener): Promise<string> {
  const server: Server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return `http://127.0.0.1:${address.port}`
}

const json =
  (value: unknown, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
  }

function says({ status, found, advice = '' }: Result, wanted: Result['status'], words: RegExp): void {
  assert.match(`${found} → ${advice}`, words)
  assert.equal(status, wanted)
}

describe('a check', () => {
  const check = (run: Check['run']): Check => ({ id: 'x', title: 'X', deadlineMs: 20, run })

  it('that never answers has failed at its deadline, and holds up no other', async (t) => {
    const checks = [check(() => new Promise(() => {})), check(async () => ({ status: 'ok', found: 'well' }))]
    let done = 0
    const [late, well] = await examine(checks, given(t), () => done++)
    says(late as Result, 'fail', /no answer within 0.02 s/)
    says(well as Result, 'ok', /well/)
    assert.equal(done, 2)
  })

  it('that throws has failed with its words', async (t) => {
    const [thrown] = await examine([check(() => Promise.reject(new Error('no such thing')))], given(t))
    says(thrown as Result, 'fail', /no such thing/)
  })
})

describe('the machine', () => {
  it('has native parts that load, or says which does not', async () => {
    const [lmdb, none] = await Promise.all([loads('lmdb'), loads('lmdb/no-such-part.js')])
    says(lmdb, 'ok', /lmdb loads/)
    says(none, 'fail', /no-such-part.* does not load: .*ERR_PACKAGE_PATH_NOT_EXPORTED.*npm ci/)
  })

  const descriptors: readonly [soft: number | string, status: Result['status']][] = [
    [1_024, 'warn'],
    [4_096, 'ok'],
    ['unlimited', 'ok'],
  ]
  for (const [soft, status] of descriptors) it(`may open ${soft} files`, () => assert.equal(judgeDescriptors(soft).status, status))

  const disks: readonly [freeGiB: number, spoolGiB: number, status: Result['status']][] = [
    [0.2, 0.25, 'fail'],
    [2.2, 0.25, 'warn'],
    [2.3, 0.25, 'ok'],
    [9, 10, 'fail'],
  ]
  for (const [free, spool, status] of disks) {
    it(`has ${free} GiB free where the spool may take ${spool}`, () =>
      assert.equal(judgeDisk(free * 1_073_741_824, spool * 1_073_741_824, '/data').status, status))
  }

  it('cannot write its data where others do not let it', async (t) => {
    says(await diskCheck.run(given(t)), 'ok', /GiB are free/)
    // Nobody may make a file there, root neither.
    says(await diskCheck.run(given(t, { dataDir: '/proc/cordon' })), 'fail', /nothing can be written to \/proc.*set dataDir elsewhere/)
    const taken = join(temporaryDataDir(t), 'file')
    writeFileSync(taken, '')
    says(await diskCheck.run(given(t, { dataDir: join(taken, 'data') })), 'fail', /nothing can be written/)
  })
})

describe('the configuration', () => {
  it('is told where it does not load, with its line', async (t) => {
    const file = join(temporaryDataDir(t), 'cordon.config.yaml')
    const broken: readonly [text: string, words: RegExp][] = [
      ['inference:\n  prot: 8080\n', /yaml:2: inference\.prot: no such setting/],
      ['inference: [\n', /yaml:\d: /],
      [
        'pools:\n  - name: a\n    models: [b]\n    upstream: { protocol: oip, endpoints: [nonsense] }\n',
        /yaml:\d: pools\.0\.upstream\.endpoints/,
      ],
      ['access:\n  issuers: [{ alias: a, issuer: nonsense, audience: b }]\n', /yaml:\d: access\.issuers\.0\.issuer/],
    ]
    for (const [text, words] of broken) {
      writeFileSync(file, text)
      let wrong: unknown
      try {
        loadConfig({ file, environment: {}, flags: new Map() })
      } catch (error) {
        wrong = error
      }
      assert.ok(wrong instanceof Error)
      says(await configurationCheck(wrong, {}).run(given(t)), 'fail', words)
    }
  })

  it('has no setting of that variable', async (t) => {
    const loaded = loadConfig({ environment: {}, flags: new Map() })
    says(await configurationCheck(loaded, { CORDON_INFERENCE_PORT: '1', CORDON_TOKEN: 'x' }).run(given(t)), 'ok', /default/)
    const typed = await configurationCheck(loaded, { CORDON_INFERENCE_PROT: 'secret' }).run(given(t))
    says(typed, 'warn', /CORDON_INFERENCE_PROT/)
    assert.doesNotMatch(typed.found, /secret/)
  })
})

describe('secrets', () => {
  it('are made at the first start, and whole behind it', async (t) => {
    const context = given(t)
    says(await secretCheck.run(context), 'ok', /secrets.json is made at the first start/)
    assert.equal(existsSync(join(context.config.dataDir, 'secrets.json')), false, 'it made some')
    openNodeSecrets(context.config)
    openToken(context.config)
    says(await secretCheck.run(context), 'ok', /secrets.json is whole; token is whole/)
    says(await permissionCheck.run(context), 'ok', /secrets.json.*token/)
  })

  it('that are torn are not quoted', async (t) => {
    const context = given(t)
    writeFileSync(join(context.config.dataDir, 'token'), 'q7Xw0p', { mode: 0o600 })
    const torn = await secretCheck.run(context)
    says(torn, 'fail', /the token is shorter/)
    assert.doesNotMatch(torn.found, /q7Xw/)
  })

  it('of a deployment are there, and of either kind', async (t) => {
    const dataDir = temporaryDataDir(t)
    const secretsFile = join(dataDir, 'node.json')
    const context = given(t, { dataDir, secretsFile })
    says(await secretCheck.run(context), 'fail', /node.json is not there.*cordon secrets create/)
    writeFileSync(secretsFile, JSON.stringify({ token: 'x'.repeat(43) }), { mode: 0o600 })
    says(await secretCheck.run(context), 'ok', /has the token of ingest and console/)
    writeFileSync(secretsFile, '{}', { mode: 0o600 })
    says(await secretCheck.run(context), 'fail', /addressKey/)
  })

  it('that others can read, or files of another user', async (t) => {
    const context = given(t)
    openToken(context.config)
    const token = join(context.config.dataDir, 'token')
    chmodSync(token, 0o644)
    says(await permissionCheck.run(context), 'fail', /token has mode 0644: others can use the secret in it → chmod 600 .*token/)
    chmodSync(token, 0o640)
    says(await permissionCheck.run(context), 'fail', /mode 0640/)
    chmodSync(token, 0o600)
    const me = process.getuid?.() ?? 0
    assert.equal(judgeFile(token, me)?.status, 'ok')
    says(judgeFile(token, me + 1) as Result, 'fail', /belongs to user .* → chown/)
    chmodSync(context.config.dataDir, 0o777)
    says(await permissionCheck.run(context), 'fail', /others can write into/)
  })

  it('in the configuration file make it one', async (t) => {
    const file = join(temporaryDataDir(t), 'cordon.config.yaml')
    writeFileSync(file, '', { mode: 0o644 })
    says(await permissionCheck.run(given(t, {}, { file })), 'ok', /none yet/)
    says(await permissionCheck.run(given(t, { store: { password: 'p' } }, { file })), 'fail', /config\.yaml has mode 0644/)
  })

  it('of an account without a second factor', async (t) => {
    const context = given(t)
    const file = join(context.config.dataDir, 'accounts.json')
    const write = (path: string, text: string) => writeFileSync(path, text, { mode: 0o600 })
    new Administrators({ file, write }).create({ name: 'olga', capabilities: [], roles: [], expiresAt: null }, at)
    says(await secretCheck.run(context), 'warn', /no second factor: olga → .*cordon accounts enrol/)
    chmodSync(file, 0o640)
    says(await secretCheck.run(context), 'fail', /others can read/)
  })
})

describe('ports', () => {
  const checkOf = (config: Config) => portCheck(listenersOf(config)[0] as ReturnType<typeof listenersOf>[number])

  it('that a stranger has, and ours', async (t) => {
    const port = Number(new URL(await serve(t, json({}))).port)
    const context = given(t, { inference: { port } })
    says(
      await checkOf(context.config).run(context),
      'fail',
      new RegExp(`127.0.0.1:${port} is taken by something else → .*ss -ltnp.*--port`),
    )
    const instance = { pid: 1, inference: `http://127.0.0.1:${port}`, console: 'http://127.0.0.1:1', startedAt: at, roles: [] }
    says(await checkOf(context.config).run({ ...context, running: async () => instance }), 'ok', /our running instance's/)
    const other = { ...instance, inference: 'http://127.0.0.1:1' }
    says(await checkOf(context.config).run({ ...context, running: async () => other }), 'fail', /something else/)
  })

  it('of an address that is not of this machine', async (t) => {
    const context = given(t, { inference: { host: '192.0.2.1', port: 8080 } })
    says(await checkOf(context.config).run(context), 'fail', /192\.0\.2\.1 is no address of this machine/)
  })
})

describe('the bus and the store', () => {
  it('that are embedded are made at the first start', async (t) => {
    const context = given(t)
    says(await busCheck.run(context), 'ok', /made at the first start/)
    says(await storeCheck.run(context), 'ok', /made at the first start/)
    assert.equal(existsSync(join(context.config.dataDir, 'log')), false, 'it made one')
  })

  it('that another process has are left alone', async (t) => {
    const context = given(t)
    const bus = await createEmbeddedBus({ path: join(context.config.dataDir, 'log') })
    t.after(() => bus.close())
    mkdirSync(join(context.config.dataDir, 'store'))
    const held = holderOf(context.config)
    says(await busCheck.run({ ...context, held }), 'warn', new RegExp(`process ${process.pid} has it open`))
    says(await storeCheck.run({ ...context, held }), 'ok', /not looked at/)
  })

  it('that open are well', async (t) => {
    const context = given(t)
    await (await createEmbeddedBus({ path: join(context.config.dataDir, 'log') })).close()
    assert.equal(holderOf(context.config), null)
    says(await busCheck.run(context), 'ok', /the log opens/)
  })

  it('of which nothing listens at the address', async (t) => {
    const context = given(t, { bus: { adapter: 'kafka', brokers: ['127.0.0.1:1'] }, store: { url: 'http://127.0.0.1:1' } })
    const [bus, store] = await Promise.all([busCheck.run(context), storeCheck.run(context)])
    says(bus, 'fail', /127\.0\.0\.1:1.* → start the brokers, or correct bus\.brokers/)
    says(store, 'fail', /127\.0\.0\.1:1.*ECONNREFUSED.* → start the server, or correct store\.url/)
  })

  /** What a ClickHouse server says over HTTP: its clock, and an error for everything else. */
  const clickhouse = (t: TestContext, aheadMs: number, code: number) =>
    serve(t, (request, response) => {
      let query = new URL(request.url ?? '/', 'http://x').searchParams.get('query') ?? ''
      request.on('data', (part) => {
        query += part
      })
      request.on('end', () => {
        if (query.includes('now64') && code !== 516)
          return response.end(`${JSON.stringify({ now: String(Date.now() + aheadMs), version: '26.7' })}\n`)
        response.writeHead(500, { 'x-clickhouse-exception-code': String(code) }).end(`Code: ${code}. DB::Exception: no. (UNKNOWN_DATABASE)`)
      })
    })

  it('whose clock is ahead, whose tables are missing, whose user is refused', async (t) => {
    const context = given(t, { store: { url: await clickhouse(t, 5_000, 81) } })
    says(await storeCheck.run(context), 'warn', /ClickHouse 26\.7 at http.*it has no tables yet/)
    says(await clockCheck.run(context), 'warn', /ClickHouse is 5\.\d s ahead of us/)
    const refused = given(t, { store: { url: (await clickhouse(t, 0, 516)).replace('//', '//me:hunter2@'), username: 'me' } })
    const result = await storeCheck.run(refused)
    says(result, 'fail', /Code: 516|no\. .*store\.username \(me\)|store\.username/)
    assert.doesNotMatch(JSON.stringify(result), /hunter2/)
  })

  const plan = (state: TopicPlan['state'], is: string | null): TopicPlan => ({
    topic: 'keys',
    state,
    settings: [{ name: 'partitions', wanted: '1', is, differs: state === 'differs' }],
  })
  const plans: readonly [plan: TopicPlan, status: Result['status'], words: RegExp][] = [
    [plan('same', '1'), 'ok', /all 1 topics are as configured/],
    [plan('missing', null), 'fail', /missing.*keys.*cordon topics apply/],
    [plan('differs', '2'), 'fail', /not as configured: keys.*cordon topics plan/],
    [plan('same', null), 'warn', /grant DescribeConfigs/],
  ]
  for (const [topic, status, words] of plans) it(`with topics: ${words.source}`, () => says(judgeTopics([topic]), status, words))
})

describe('an issuer', () => {
  const issuerOf = (settings: z.input<typeof Config>) => {
    const [issuer] = Config.parse(settings).access.issuers
    assert.ok(issuer !== undefined)
    return issuerCheck(issuer)
  }
  const named = (issuer: string, more: object = {}) => issuerOf({ access: { issuers: [{ alias: 'idp', issuer, audience, ...more }] } })

  it('is well, or its keys make no signature that counts, or is away', async (t) => {
    const provider = await openProvider()
    let open = true
    t.after(() => (open ? provider.close() : undefined))
    const context = given(t)
    says(await named(provider.issuer).run(context), 'ok', /1 keys$|1 keys →/)
    assert.ok(context.clocks.has('issuer idp'))
    says(await clockCheck.run(context), 'ok', /within 2 s of issuer idp/)
    says(await named(provider.issuer, { algorithms: ['ES256'] }).run(given(t)), 'fail', /its 1 keys \(RS256\) make no signature of ES256/)
    says(await named(`${provider.issuer}/`).run(given(t)), 'fail', /discovery document is of ".*"/)
    await provider.close()
    open = false
    says(await named(provider.issuer).run(given(t)), 'fail', /ECONNREFUSED.*tokens are refused with 503/)
  })

  /** Discovery and keys in one, as a provider that is set up wrongly answers. */
  const fake = (t: TestContext, document: (origin: string) => object, headers: Record<string, string> = {}) =>
    serve(t, (request, response) => {
      const origin = `http://${request.headers.host}`
      const keys = { keys: [{ kty: 'RSA', kid: 'a', use: 'sig', n: 'AQAB', e: 'AQAB' }] }
      json(request.url === '/jwks' ? keys : { issuer: origin, jwks_uri: `${origin}/jwks`, ...document(origin) }, headers)(request, response)
    })

  it('is another, by its own words, whatever they are', async (t) => {
    const origin = await fake(t, () => ({ issuer: 'https://evil.example\u001b[31m' }))
    const wrong = await named(origin).run(given(t))
    says(wrong, 'fail', /is of "https:\/\/evil\.example\\u001b\[31m".*write issuer of idp exactly/)
  })

  it('has its keys where anybody could change them on the way', async (t) => {
    const origin = await fake(t, () => ({ jwks_uri: 'http://keys.example/jwks' }))
    says(await named(origin).run(given(t)), 'fail', /not at an https address/)
  })

  it('has a clock that is an hour off', async (t) => {
    const origin = await fake(t, () => ({}), { date: new Date(Date.now() + 3_600_000).toUTCString() })
    const context = given(t)
    says(await named(origin).run(context), 'fail', /its clock is 60 min ahead of ours.*tokens are refused/)
    says(await clockCheck.run(context), 'warn', /issuer idp is 60 min ahead of us.*NTP/)
  })

  it('answers something else', async (t) => {
    says(await named(await serve(t, json([]))).run(given(t)), 'fail', /answers no discovery document/)
    const moved = await serve(t, (_request, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end())
    says(await named(moved).run(given(t)), 'fail', /answers 302.*not followed/)
  })

  it('has a clock that is read only where no cache kept the answer', () => {
    const date = new Date(at).toUTCString()
    assert.deepEqual(readingOf(date, undefined, at + 1_000, at + 1_200), { offsetMs: -600, errorMs: 600 })
    assert.deepEqual([readingOf(date, '30', at, at), readingOf('yesterday', undefined, at, at)], [null, null])
  })
})

describe('an upstream', () => {
  const upstreamOf = (endpoints: string[], more: object = {}) => {
    const pool = { name: 'llm', models: ['chat'], upstream: { protocol: 'openai' as const, endpoints, ...more } }
    const [parsed] = Config.parse({ pools: [pool] }).pools
    assert.ok(parsed?.upstream)
    return upstreamCheck(parsed, parsed.upstream)
  }

  it('answers, or one of two, or none', async (t) => {
    const well = await serve(t, json({ data: [{ id: 'llama' }] }))
    const names = { names: { chat: 'llama' } }
    says(await upstreamOf([well], names).run(given(t)), 'ok', /1 of 1 endpoints answer/)
    says(await upstreamOf([well, 'http://127.0.0.1:1'], names).run(given(t)), 'warn', /127\.0\.0\.1:1: .*ECONNREFUSED/)
    says(await upstreamOf(['http://127.0.0.1:1'], names).run(given(t)), 'fail', /ECONNREFUSED/)
    says(await upstreamOf([well]).run(given(t)), 'warn', /does not list chat → say under names/)
  })

  it('wants a token, and gets that of the file', async (t) => {
    const url = await serve(t, ({ headers }, response) => {
      if (headers.authorization === 'Bearer t0ken') return response.end('{"data":[{"id":"chat"}]}')
      return response.writeHead(401).end()
    })
    const tokenFile = join(temporaryDataDir(t), 'token')
    writeFileSync(tokenFile, 't0ken\n', { mode: 0o600 })
    says(await upstreamOf([url]).run(given(t)), 'fail', /refuses our token \(401\)/)
    says(await upstreamOf([url], { tokenFile }).run(given(t)), 'ok', /answer/)
  })
})

describe('models, policies and prices', () => {
  it('of a folder that is not there, or lacks what a pool serves', async (t) => {
    says(await modelCheck.run(given(t, { inference: { modelsDir: '/none' } })), 'fail', /\/none/)
    says(await modelCheck.run(given(t, { pools: [{ name: 'a', models: ['digits', 'resnet'] }] })), 'fail', /has no resnet/)
    says(await modelCheck.run(given(t, { pools: [{ name: 'a', models: ['digits'] }] })), 'ok', /digits 1; digits 2/)
  })

  it('that are not what their manifest says', async (t) => {
    const modelsDir = temporaryDataDir(t)
    const folder = join(modelsDir, 'digits', '1')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'manifest.json'), '{}')
    says(await modelCheck.run(given(t, { inference: { modelsDir } })), 'fail', /manifest in .* is invalid/)
  })

  it('that Cedar does not understand, with their place', async (t) => {
    const dir = temporaryDataDir(t)
    says(await policyCheck.run(given(t)), 'ok', /policies, version/)
    says(await policyCheck.run(given(t, { policy: { dir } })), 'fail', /there is no policy.*cordon policy validate/)
    writeFileSync(join(dir, 'a.cedar'), '// ours\npermit (principal, action, resource) when { context.nonsense };\n')
    says(await policyCheck.run(given(t, { policy: { dir } })), 'fail', /a\.cedar:2: .*nonsense.*cordon policy validate/)
  })

  it('of an agent that is away', async (t) => {
    says(
      await policyCheck.run(given(t, { policy: { engine: 'opa', opa: { url: 'http://127.0.0.1:1' } } })),
      'fail',
      /ECONNREFUSED.*nobody is let through/,
    )
    says(await policyCheck.run(given(t, { policy: { engine: 'opa', opa: { url: await serve(t, json({})) } } })), 'ok', /answers/)
  })

  it('that cost nothing where a limit is by cost', async (t) => {
    const limits = (model: string) => ({ rules: [{ name: 'm', measure: 'cost' as const, amount: 5, windowMs: 60_000, match: { model } }] })
    const pools = [{ name: 'a', models: ['chat', 'other'], upstream: { protocol: 'openai' as const, endpoints: ['http://u:1'] } }]
    says(await priceCheck.run(given(t, { pools })), 'ok', /no limit is by cost/)
    says(await priceCheck.run(given(t, { pools, limits: limits('chat') })), 'warn', /do not bind chat: it has no price/)
    says(
      await priceCheck.run(given(t, { pools, limits: limits('chat'), models: { chat: { pricePerTokenOut: 1e-6 } } })),
      'ok',
      /has a price/,
    )
    says(await priceCheck.run(given(t, { limits: limits('*'), pools: [{ name: 'a', models: ['digits'] }] })), 'ok', /has a price/)
  })
})

describe('certificates', () => {
  const now = Date.now()
  const pair = (from: number, to: number) => makeCertificate({ commonName: 'node', from: now + from * day, to: now + to * day })
  const [good, another, soon, over, early] = [pair(-1, 90), pair(-1, 90), pair(-1, 29), pair(-9, -1), pair(1, 90)]

  const cases: readonly [name: string, cert: string, key: string, status: Result['status'], words: RegExp][] = [
    ['that fits its key', good.cert, good.key, 'ok', /until/],
    ['of another key', good.cert, another.key, 'fail', /tls\.key is not the key of .*tls\.pem/],
    ['that expires in 29 days', soon.cert, soon.key, 'warn', /expires on .*, in (28|29) days/],
    ['that has expired', over.cert, over.key, 'fail', /expired on/],
    ['that counts from tomorrow on', early.cert, early.key, 'fail', /counts only from/],
    ['whose chain has one that expired', good.cert + over.cert, good.key, 'fail', /expired on/],
    ['that is none', 'nonsense', good.key, 'fail', /holds no certificate/],
    ['whose key is none', good.cert, 'nonsense', 'fail', /the key of inference\.tls\.certFile/],
  ]
  for (const [name, cert, key, status, words] of cases) {
    it(`has one ${name}`, async (t) => {
      const dir = temporaryDataDir(t)
      const [certFile, keyFile] = [join(dir, 'tls.pem'), join(dir, 'tls.key')]
      writeFileSync(certFile, cert)
      writeFileSync(keyFile, key)
      says(await certificateCheck.run(given(t, { inference: { tls: { certFile, keyFile } } })), status, words)
    })
  }

  it('that is not there', async (t) => {
    says(await certificateCheck.run(given(t, { bus: { caFile: '/none.pem' } })), 'fail', /bus\.caFile \/none\.pem: ENOENT/)
  })
})

it('tells of an instance that runs with roles that are ill', async (t) => {
  const instance = { pid: 7, inference: null, console: 'http://127.0.0.1:1', startedAt: at }
  const roles = [{ role: 'node', ok: false, summary: 'no process of this role is running' }]
  says(await instanceCheck.run(given(t)), 'ok', /none runs/)
  says(await instanceCheck.run(given(t, {}, { running: async () => ({ ...instance, roles }) })), 'fail', /node: no process.*cordon status/)
  says(await instanceCheck.run(given(t, {}, { running: async () => ({ ...instance, roles: null }) })), 'warn', /does not answer/)
})
