import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { TOTP } from 'otpauth'
import { pino } from 'pino'
import { type Browser, chromium, type Page } from 'playwright-core'
import { Registry } from 'prom-client'
import { Config } from '../../cli/config/schema.ts'
import { openAccounts } from '../../cli/instance/accounts.ts'
import { createConsole } from '../../console/server.ts'
import { CordonError } from '../../schemas/index.ts'
import { at, containment, fakePorts, finding, incident, instance } from '../console/ports.ts'

const executablePath =
  process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path))
const token = 'operator-token'

describe('the console in a browser', () => {
  const ports = fakePorts(Date.now() + 600_000)
  let browser: Browser
  let app: FastifyInstance
  let url: string

  before(async () => {
    assert.ok(executablePath !== undefined, 'no Chromium here: install the package chromium, or set CHROMIUM')
    app = await createConsole({ ports, token, registry: new Registry(), log: pino({ level: 'silent' }) })
    url = await app.listen({ port: 0, host: '127.0.0.1' })
    browser = await chromium.launch({
      executablePath,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
      ],
    })
  })
  after(async () => {
    await browser?.close()
    await app?.close()
  })

  async function open(fragment: string): Promise<{ page: Page; errors: string[] }> {
    const page = await browser.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text())
    })
    await page.goto(`${url}/${fragment}`)
    return { page, errors }
  }

  it('asks for the token, and refuses a wrong one', async () => {
    const { page } = await open('')
    await page.getByRole('textbox').or(page.locator('#token')).first().fill('wrong')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.locator('#token').waitFor()
    assert.equal(await page.locator('.queue').count(), 0)
    await page.close()
  })

  it('shows the incident with its evidence, timeline and containment, and hides the token', async () => {
    const { page, errors } = await open(`#token=${token}`)
    await page.getByText('mallory probes digits').first().waitFor()
    assert.equal(new URL(page.url()).hash, '')
    // The queue is there before the incident itself has been read.
    await page.locator('.timeline li').first().waitFor()
    await page.locator('.containments table').waitFor()
    assert.equal(await page.locator('.evidence .curves svg').count(), 2, 'distances and margins are drawn as curves')
    const path = page.locator('.evidence .path')
    assert.deepEqual([await path.locator('circle').count(), await path.locator('line').count()], [4, 3], 'each query, joined to its parent')
    assert.match(await path.locator('figcaption').innerText(), /read as 3[\s\S]*read as 8[\s\S]*1 mallory, 2 <b>trent<\/b>/)
    assert.match(await page.locator('.timeline').innerText(), /node-1 enforces throttle-principal[\s\S]*21 ms/)
    assert.match(await page.locator('.containments').innerText(), /ends by itself in[\s\S]*principal:mallory/)
    // The finding's title is hostile markup: it must be text here, not an element.
    assert.equal(await page.locator('.evidence img').count(), 0)
    assert.deepEqual(errors, [])
    await page.close()
  })

  it('says that nothing went unseen, what did, and when that cannot be told', async () => {
    const { page, errors } = await open(`#token=${token}`)
    const unseen = page.locator('.unseen')
    await unseen.getByText('Watched throughout').waitFor()
    assert.equal(await unseen.locator('svg').count(), 0)
    await page.close()

    const seen = (ms: number) => new Date(at + ms).toISOString()
    const lost = {
      kind: 'dropped',
      blind: true,
      from: seen(0),
      until: seen(2_000),
      affected: 'possibly',
      sentence: 'node <b>node-1</b> lost 12 events',
    }
    ports.answer = async (name) => ({ columns: [], rows: name === 'unseen' ? [lost] : [], elapsedMs: 1 })
    const gaps = await open(`#token=${token}`)
    await gaps.page.locator('.unseen rect.gap.blind').waitFor({ state: 'attached' })
    await gaps.page.locator('.unseen').getByText('Yes, something was not seen:').waitFor()
    assert.match(await gaps.page.locator('.unseen').innerText(), /node <b>node-1<\/b> lost 12 events may concern this incident/)
    assert.equal(await gaps.page.locator('.unseen b').count(), 0)
    await gaps.page.close()

    ports.answer = async (name) => {
      if (name === 'unseen') throw new CordonError('STORE_UNAVAILABLE', 'connect ECONNREFUSED')
      return { columns: [], rows: [], elapsedMs: 1 }
    }
    const unknown = await open(`#token=${token}`)
    await unknown.page.getByText('Cannot tell: the store does not answer').waitFor()
    await unknown.page.close()
    ports.answer = async () => ({ columns: [], rows: [], elapsedMs: 1 })
    assert.deepEqual([...errors, ...gaps.errors, ...unknown.errors], [])
  })

  it('shows which node enforces a containment, and which does not yet', async () => {
    const { page } = await open(`#token=${token}`)
    const enforced = page.getByRole('region', { name: 'Enforcement' })
    await enforced.waitFor()
    assert.match(await enforced.innerText(), /node-1[\s\S]*21 ms[\s\S]*node-2[\s\S]*not yet/)
    assert.match(await page.locator('.containments').innerText(), /not yet: node-2/)
    await page.close()
  })

  it('says what is wrong with which role, and lists the processes', async () => {
    const { page } = await open(`#token=${token}`)
    await page.locator('header').getByText('watching').waitFor()
    const well = ports.status
    const status = await well()
    ports.status = async () => ({
      ...status,
      roles: [{ role: 'detect', ok: false, summary: 'no process of this role is running', detail: {} }],
      instances: [instance({ role: 'detect', instance: 'detect-1', alive: false }), instance({ role: 'node', instance: 'node-1' })],
      deadLetters: 4,
    })
    await page.locator('header').getByText('detect: no process of this role is running').waitFor({ timeout: 10_000 })
    await page.getByText('1 process').click()
    assert.match(await page.locator('.processes').innerText(), /detect-1[\s\S]*gone: last heard at[\s\S]*node-1[\s\S]*at work/)
    assert.match(await page.locator('header dl').innerText(), /dead letters\s*4/)
    ports.status = well
    await page.close()
  })

  it('takes up a new incident live, without a reload', async () => {
    const { page } = await open(`#token=${token}`)
    await page.getByText('mallory probes digits').first().waitFor()
    ports.emit({
      incident: { ...incident, id: 'c'.repeat(32), title: 'trudy sweeps digits', severity: 'critical', state: 'open' },
      finding,
    })
    await page.locator('.queue').getByText('trudy sweeps digits').waitFor({ timeout: 5_000 })
    assert.match(await page.locator('.queue li').first().innerText(), /trudy sweeps digits/, 'open and critical comes first')
    await page.close()
  })

  it('releases a containment', async () => {
    const { page } = await open(`#token=${token}`)
    await page.getByRole('button', { name: 'Release' }).click()
    await page.getByText('nothing is contained').waitFor({ timeout: 5_000 })
    assert.deepEqual(
      ports.calls.filter(([call]) => call === 'release'),
      [['release', containment(0).id, 'console']],
    )
    await page.close()
  })

  it('asks for a code where an account releases a containment, once for five minutes', async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'cordon-browser-'))
    const accounts = openAccounts({ dataDir, access: Config.parse({}).access })
    const { token } = accounts.administrators.create(
      { name: 'olga', capabilities: ['administration'], roles: [], expiresAt: null },
      Date.now(),
    )
    const { secret } = accounts.administrators.enrol('olga')
    const shown = (timestamp: number) => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp })
    accounts.administrators.confirm('olga', shown(Date.now() - 30_000), Date.now())
    const fake = fakePorts(Date.now() + 600_000)
    const other = await createConsole({
      ports: fake,
      token: 'x',
      access: { accounts },
      registry: new Registry(),
      log: pino({ level: 'silent' }),
    })
    const address = await other.listen({ port: 0, host: '127.0.0.1' })
    t.after(async () => {
      await other.close()
      rmSync(dataDir, { recursive: true })
    })
    const page = await browser.newPage()
    await page.goto(`${address}/#token=${token}`)
    const release = page.getByRole('button', { name: 'Release' })
    const code = page.locator('#code')
    const releases = () => fake.calls.filter(([call]) => call === 'release')
    await release.click()
    await code.fill('000000')
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('that code does not count').waitFor()
    assert.equal(await code.inputValue(), '')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.locator('.containments [role=alert]').getByText('does not count').waitFor()
    assert.deepEqual(releases(), [])
    await release.click()
    await code.fill(shown(Date.now()))
    await page.keyboard.press('Enter')
    await page.getByText('nothing is contained').waitFor()
    assert.deepEqual(releases(), [['release', 'principal:mallory/throttle-principal', 'olga']])
    assert.equal(await code.count(), 0)
    await page.close()
  })
})
