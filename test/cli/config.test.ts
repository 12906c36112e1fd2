import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { environmentName, loadConfig, settings } from '../../cli/config/load.ts'
import { shownSettings } from '../../cli/config/show.ts'
import { CliError } from '../../cli/errors.ts'

const none = { environment: {}, flags: new Map<string, unknown>() }

function file(t: { after(fn: () => void): void }, text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-config-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const path = join(dir, 'cordon.config.yaml')
  writeFileSync(path, text)
  return path
}

function refusal(run: () => unknown): CliError {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof CliError)
    return error
  }
  return assert.fail('it was accepted')
}

describe('configuration', () => {
  it('has a default for every setting', () => {
    const { config } = loadConfig(none)
    assert.equal(config.inference.port, 8080)
    assert.equal(config.console.port, 8090)
    assert.equal(config.dataDir, './.cordon')
    assert.equal(config.inference.host, '127.0.0.1')
  })

  it('takes the file, the environment over it, flags over both, and says where each came from', (t) => {
    const path = file(t, 'inference:\n  port: 1111\n  node: from-file\n  maxItems: 7\n')
    const loaded = loadConfig({
      file: path,
      environment: { CORDON_INFERENCE_PORT: '2222', CORDON_INFERENCE_MAX_ITEMS: '8' },
      flags: new Map([['inference.port', 3333]]),
    })
    assert.equal(loaded.config.inference.port, 3333)
    assert.equal(loaded.config.inference.maxItems, 8)
    assert.equal(loaded.config.inference.node, 'from-file')
    const shown = new Map(shownSettings(loaded).map((setting) => [setting.setting, setting]))
    assert.equal(shown.get('inference.port')?.source, 'flag')
    assert.equal(shown.get('inference.maxItems')?.from, 'CORDON_INFERENCE_MAX_ITEMS')
    assert.equal(shown.get('inference.node')?.from, `${path}:3`)
    assert.equal(shown.get('console.port')?.source, 'default')
  })

  const refused: readonly [name: string, text: string, expected: RegExp][] = [
    ['an unknown key, with its line', 'log:\n  level: info\nbuss: {}\n', /:3: buss: no such setting/],
    ['an unknown key further in', 'bus:\n  adapter: kafka\n  broker: x\n', /:3: bus\.broker: no such setting/],
    ['a value of the wrong kind', 'inference:\n  port: many\n', /:2: inference\.port: .*expected number/],
    ['a value out of range', 'inference:\n  port: 70000\n', /:2: inference\.port/],
    ['a key given twice', 'bus: {}\nbus: {}\n', /:2: .*unique/i],
    ['broken YAML', 'bus: [\n', /:\d+: /],
    ['a list where settings belong', '- 1\n', /must be a mapping/],
  ]
  for (const [name, text, expected] of refused) {
    it(`refuses ${name}`, (t) => {
      const path = file(t, text)
      const error = refusal(() => loadConfig({ ...none, file: path }))
      assert.equal(error.code, 'CONFIG_INVALID')
      assert.match(error.message, expected)
    })
  }

  it('names the variable when the environment is wrong', () => {
    const error = refusal(() => loadConfig({ ...none, environment: { CORDON_CONSOLE_PORT: 'x' } }))
    assert.match(error.message, /^CORDON_CONSOLE_PORT: console\.port/)
  })

  it('keeps a password of digits as text, and masks it when shown', () => {
    const loaded = loadConfig({ ...none, environment: { CORDON_STORE_PASSWORD: '12345' } })
    assert.equal(loaded.config.store.password, '12345')
    assert.equal(shownSettings(loaded).find((s) => s.setting === 'store.password')?.value, '********')
  })

  it('masks the headers for a collector, and shows which there are', (t) => {
    const loaded = loadConfig({ ...none, file: file(t, 'telemetry:\n  otlpHeaders: { authorization: Bearer abc }\n') })
    const shown = shownSettings(loaded).find((s) => s.setting === 'telemetry.otlpHeaders')
    assert.deepEqual(shown?.value, { authorization: '********' })
  })

  it('masks a password that stands in an address', () => {
    const shown = (url: string) =>
      shownSettings(loadConfig({ environment: { CORDON_STORE_URL: url }, flags: new Map() })).find((s) => s.setting === 'store.url')?.value
    assert.equal(shown('http://cordon:pass:w@rd@clickhouse:8123/x'), 'http://cordon:********@clickhouse:8123/x')
    assert.equal(shown('http://clickhouse:8123/a@b'), 'http://clickhouse:8123/a@b')
    assert.equal(shown('http://cordon@clickhouse:8123'), 'http://cordon@clickhouse:8123')
  })

  it('gives every setting a variable of its own', () => {
    const names = [...settings().keys()].map(environmentName)
    assert.equal(new Set(names).size, names.length)
    assert.ok(names.includes('CORDON_INFERENCE_MAX_BODY_BYTES'))
  })

  it('says which file cannot be read', () => {
    assert.equal(refusal(() => loadConfig({ ...none, file: '/nonexistent/cordon.yaml' })).code, 'CONFIG_UNREADABLE')
  })
})
