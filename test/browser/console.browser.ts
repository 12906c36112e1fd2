import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { type Browser, chromium, type Page } from 'playwright-core'
import { Registry } from 'prom-client'
import { createConsole } from '../../console/server.ts'
import { containment, fakePorts, finding, incident } from '../console/ports.ts'

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
    assert.equal(await page.locator('.evidence svg').count(), 2, 'distances and labels are drawn')
    assert.match(await page.locator('.timeline').innerText(), /node-1 enforces throttle-principal[\s\S]*21 ms/)
    assert.match(await page.locator('.containments').innerText(), /ends by itself in[\s\S]*principal:mallory/)
    // The finding's title is hostile markup: it must be text here, not an element.
    assert.equal(await page.locator('.evidence img').count(), 0)
    assert.deepEqual(errors, [])
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
})
