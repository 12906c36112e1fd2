import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Administrators } from '../../access/administrators.ts'
import { type LoadedConfig, loadConfig } from '../../cli/config/load.ts'
import { configurationText } from '../../cli/init/document.ts'
import { interview } from '../../cli/init/interview.ts'
import { type Made, makeInstance } from '../../cli/init/make.ts'
import { type InitFlags, planOf } from '../../cli/init/plan.ts'
import { Questions } from '../../cli/init/questions.ts'
import { defaultFolder } from '../../policy/directory.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'

const cordon = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const at = Date.parse('2026-11-22T09:00:00Z')
const okta = { issuer: 'https://acme.okta.com/oauth2/default' }

function loaded(file: string): LoadedConfig {
  return loadConfig({ file, environment: {}, flags: new Map() })
}

function made(t: TestContext, flags: InitFlags = {}): Made & { readonly dir: string } {
  const dir = join(temporaryDataDir(t), 'new')
  return { dir, ...makeInstance(dir, planOf(flags), at, false) }
}

describe('what init writes', () => {
  it('loads, and says what the flags said', (t) => {
    const flags = { ...okta, model: 'chat', upstream: 'http://10.0.0.7:8000', protocol: 'openai', limit: '20/1m', port: '9000' }
    const { config } = loaded(made(t, { ...flags, consolePort: '9001', kafka: 'k1:9092, k2:9092', clickhouse: 'http://c:8123' }).file)
    assert.deepEqual([config.inference.port, config.console.port, config.store.url], [9000, 9001, 'http://c:8123'])
    assert.deepEqual([config.bus.adapter, config.bus.brokers], ['kafka', ['k1:9092', 'k2:9092']])
    const [pool] = config.pools
    assert.deepEqual([pool?.models, pool?.upstream?.endpoints, pool?.upstream?.protocol], [['chat'], ['http://10.0.0.7:8000'], 'openai'])
    const [rule] = config.limits.rules
    assert.deepEqual([rule?.over, rule?.measure, rule?.amount, rule?.windowMs], ['principal', 'requests', 20, 60_000])
    const [issuer] = config.access.issuers
    assert.deepEqual([issuer?.alias, issuer?.audience, issuer?.untyped, issuer?.rolesClaim], ['okta', 'api://default', true, 'groups'])
    assert.equal(config.policy.dir, './policies')
  })

  const plans: readonly [name: string, flags: InitFlags][] = [
    ['everything in this process', {}],
    ['a folder of models', { model: 'resnet', modelsDir: '/srv/models' }],
    ['all elsewhere', { ...okta, model: 'm', upstream: 'http://u:1', protocol: 'oip', kafka: 'k:1', clickhouse: 'http://c:1' }],
    ['no limit', { limit: 'none' }],
  ]
  for (const [name, flags] of plans) {
    it(`explains each setting, and what is off may be put in force: ${name}`, (t) => {
      const written = configurationText(planOf(flags))
      const file = join(temporaryDataDir(t), 'all.yaml')
      // What is off has its # right before it; a # and one space begin what is said about it.
      const all = written.replaceAll(/^(\s*)#(?! \S)/gm, '$1')
      assert.notEqual(all, written)
      writeFileSync(file, all)
      const { config, sources } = loaded(file)
      assert.ok(config.limits.rules.some(({ measure }) => measure === 'cost'))
      assert.ok([...sources.keys()].length >= 20)
      for (const said of ['where the log, the store, secrets and spools live', '0 picks a free one'])
        assert.ok(written.includes(`# ${said}\n`))
      assert.ok(Math.max(...written.split('\n').map((line) => line.length)) < 200)
    })
  }

  it('keeps to itself what is secret, and tells it once', (t) => {
    const { dir, file, administrator } = made(t, { admin: 'olga' })
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const accounts = join(dir, '.cordon', 'accounts.json')
    assert.equal(statSync(accounts).mode & 0o777, 0o600)
    assert.equal(statSync(join(dir, '.cordon')).mode & 0o777, 0o700)
    const { token, otpauth, secret } = administrator
    assert.ok(token !== null && secret !== null)
    assert.match(otpauth ?? '', new RegExp(`^otpauth://totp/Cordon:olga\\?.*secret=${secret}`))
    assert.ok(!readFileSync(accounts, 'utf8').includes(token))
    assert.ok(!readFileSync(file, 'utf8').includes(token))
    const account = new Administrators({ file: accounts, write: () => {} }).authenticate(token, at)
    assert.deepEqual([account?.name, account?.capabilities, account?.roles], ['olga', ['administration', 'promotion'], ['administrator']])
  })

  it('brings the default policies, to be changed', (t) => {
    const { policies } = made(t)
    const wanted = readdirSync(defaultFolder).filter((name) => /\.(cedar|tests\.json)$/.test(name))
    assert.ok(wanted.length > 0)
    assert.deepEqual(readdirSync(policies).sort(), wanted.sort())
  })
})

describe('init on a folder that has something', () => {
  for (const name of ['cordon.config.yaml', 'policies']) {
    it(`overwrites no ${name}, and makes nothing beside it`, (t) => {
      const dir = temporaryDataDir(t)
      if (name === 'policies') mkdirSync(join(dir, name))
      else writeFileSync(join(dir, name), 'log: { level: warn }\n')
      assert.throws(() => makeInstance(dir, planOf({}), at, false), { code: 'USAGE', message: new RegExp(`${name}: there already`) })
      assert.deepEqual(readdirSync(dir), [name])
    })
  }

  it('with --force writes both again, and leaves accounts as they are', (t) => {
    const { dir, file, policies, administrator } = made(t)
    writeFileSync(join(policies, 'own.cedar'), '// ours')
    writeFileSync(file, 'log: { level: warn }\n')
    const again = makeInstance(dir, planOf({ port: '9000' }), at, true)
    assert.equal(loaded(file).config.inference.port, 9000)
    assert.deepEqual(again.administrator, { name: 'admin', token: null, otpauth: null, secret: null })
    assert.ok(existsSync(join(policies, 'own.cedar')))
    const known = new Administrators({ file: join(dir, '.cordon', 'accounts.json'), write: () => {} })
    assert.equal(known.authenticate(administrator.token ?? '', at)?.name, 'admin')
  })

  it('writes no configuration where the account cannot be made', (t) => {
    const dir = temporaryDataDir(t)
    mkdirSync(join(dir, '.cordon'))
    writeFileSync(join(dir, '.cordon', 'accounts.json'), 'torn', { mode: 0o600 })
    assert.throws(() => makeInstance(dir, planOf({}), at, false), { code: 'ACCOUNTS_UNREADABLE' })
    assert.deepEqual(readdirSync(dir), ['.cordon'])
  })
})

describe('flags that cannot be right', () => {
  const cases: readonly [flags: InitFlags, message: RegExp][] = [
    [{ admin: '../x' }, /^--admin/],
    [{ issuer: 'http://idp.example.com', audience: 'a' }, /^--issuer: write an https address/],
    [{ issuer: 'https://idp.example.com' }, /^--audience: say what/],
    [{ audience: 'a' }, /^--issuer: name it/],
    [{ model: 'resnet' }, /^--model "resnet": built in are digits and language/],
    [{ modelsDir: '/m' }, /^--model: name the model/],
    [{ model: 'm', modelsDir: '/m', upstream: 'http://u:1' }, /^--models-dir and --upstream/],
    [{ model: 'm', upstream: 'http://u:1' }, /^--protocol "": oip/],
    [{ model: 'm', upstream: 'http://me:secret@u:1', protocol: 'oip' }, /^--upstream: write no user and password/],
    [{ clickhouse: 'http://me:secret@c:8123' }, /^--clickhouse: write no user and password/],
    [{ kafka: 'k1' }, /^--kafka "k1": write host:port/],
    [{ limit: '0/1h' }, /^--limit/],
    [{ limit: '10/100d' }, /^--limit/],
    [{ port: '70000' }, /^--port/],
  ]
  for (const [flags, message] of cases) {
    it(JSON.stringify(flags), () => {
      assert.throws(
        () => planOf(flags),
        (error: Error & { code?: string }) => error.code === 'USAGE' && message.test(error.message) && !error.message.includes('secret@'),
      )
    })
  }

  it('knows a provider by its address', () => {
    const aliasOf = (issuer: string) => planOf({ issuer, audience: 'a' }).issuer?.settings.alias
    assert.equal(aliasOf('https://login.microsoftonline.com/5f0e/v2.0'), 'entra')
    assert.equal(aliasOf('https://sso.example.com/realms/ml'), 'keycloak')
    assert.equal(aliasOf('https://acme.oktapreview.com/oauth2/default'), 'okta')
    assert.equal(aliasOf('https://okta.com.evil.example'), 'idp')
  })
})

describe('questions', () => {
  async function answered(answers: readonly string[], flags: InitFlags = {}): Promise<{ said: InitFlags; asked: string }> {
    const input = new PassThrough()
    let asked = ''
    const output = new Writable({ write: (chunk, _encoding, done) => (asked += chunk) && done() })
    const questions = new Questions(input, output, false)
    input.end(answers.map((answer) => `${answer}\n`).join(''))
    try {
      return { said: await interview(questions, flags), asked }
    } finally {
      questions.close()
    }
  }

  it('take the default where nothing is answered', async () => {
    const { said, asked } = await answered(['', '', '', '', '', ''])
    assert.deepEqual(planOf(said), planOf({}))
    assert.match(asked, /Name of the first administrator \[admin\]: /)
  })

  it('ask again until the answer can be read', async () => {
    const answers = [
      'not a name',
      'olga',
      'azure',
      'entra',
      'login.microsoftonline.com',
      'https://login.microsoftonline.com/t/v2.0',
      'api-id',
    ]
    const { said, asked } = await answered([...answers, 'http://10.0.0.7:8000', 'chat', 'grpc', 'openai', 'many', '5/1s', '', ''])
    const plan = planOf(said)
    assert.deepEqual([plan.admin, plan.issuer?.settings.audience, plan.issuer?.settings.alias], ['olga', 'api-id', 'entra'])
    assert.deepEqual(plan.model, { from: 'upstream', models: ['chat'], url: 'http://10.0.0.7:8000', protocol: 'openai' })
    assert.deepEqual(plan.limit, { requests: 5, windowMs: 1_000 })
    for (const said of [/--admin "not a name"/, /--alias "azure"/, /--issuer: /, /--protocol "grpc"/, /--limit "many"/])
      assert.match(asked, said)
  })

  it('are not asked where a flag answers', async () => {
    const { asked } = await answered([], { admin: 'a', ...okta, model: 'digits', limit: 'none', kafka: '', clickhouse: '', audience: 'x' })
    assert.equal(asked, '')
  })

  it('end where the input ends', async () => {
    await assert.rejects(answered(['olga']), { code: 'USAGE', message: /add --yes/ })
  })
})

it('every example of docs/access.md is a configuration that loads', (t) => {
  const page = readFileSync(new URL('../../docs/access.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/```yaml\n([\s\S]+?)```/g)].map(([, block = '']) => block)
  assert.ok(blocks.length >= 5)
  const file = join(temporaryDataDir(t), 'example.yaml')
  writeFileSync(file, '')
  const unset = loaded(file).config
  for (const block of blocks) {
    writeFileSync(file, block)
    // An example that says nothing would load as well.
    assert.notDeepEqual(loaded(file).config, unset)
  }
})

describe('the command', () => {
  async function run(args: readonly string[], input = ''): Promise<{ out: string; err: string; code: number }> {
    const child = spawn(process.execPath, [cordon, 'init', ...args], { stdio: ['pipe', 'pipe', 'pipe'], timeout: 60_000 })
    child.stdin.end(input)
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number]>])
    return { out, err, code }
  }

  it('prints what was made as JSON, the token once', async (t) => {
    const dir = join(temporaryDataDir(t), 'x')
    const { out, code } = await run([dir, '--yes', '--json', '--admin', 'olga'])
    assert.equal(code, 0)
    const said = JSON.parse(out) as Made & { next: { command: string }[] }
    assert.match(said.administrator.token ?? '', /^cordon_acct_/)
    assert.deepEqual(
      said.next.map(({ command }) => command.split(' ').slice(0, 2).join(' ')),
      [`cd ${dir}`, 'cordon doctor', 'cordon start', 'cordon keys'],
    )
    const again = await run([dir, '--yes'])
    assert.equal(again.code, 2)
    assert.match(again.err, /there already, and not overwritten/)
  })

  it('asks on standard error, and leaves standard output to what was made', async (t) => {
    const dir = join(temporaryDataDir(t), 'x')
    const { out, err, code } = await run([dir], 'olga\n\n\n\n\n\n\n')
    assert.equal(code, 0, err)
    assert.match(err, /Identity provider: okta, entra, keycloak, other or none/)
    assert.match(out, /^written +.*cordon\.config\.yaml$/m)
    assert.match(out, /^cordon_acct_[0-9A-Za-z]{43}$/m)
    assert.match(out, /then +cordon accounts enrol olga --otp CODE$/m)
    assert.doesNotMatch(err, /cordon_acct_/)
  })
})
