import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commands } from '../../cli/commands.ts'
import { openProgram } from '../../cli/program.ts'

const cordon = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const moduleList = new URL('module-list.ts', import.meta.url).href
const names = commands.map(({ usage }) => usage.replace(/ .*/, ''))

let dir: string
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'cordon-program-'))
})
after(() => rmSync(dir, { recursive: true }))

/** What a command prints, and the packages and the modules of our own that it loads for that. */
function run(...args: readonly string[]) {
  const file = join(dir, 'modules.json')
  const env = { ...process.env, MODULE_LIST: file }
  const { stdout } = spawnSync(process.execPath, ['--import', moduleList, cordon, ...args], { env, encoding: 'utf8' })
  const urls = JSON.parse(readFileSync(file, 'utf8')) as string[]
  const packages = new Set(urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []))
  const own = urls.flatMap((url) => /^(?!.*node_modules)file:.*\/((?:cli|inference|pipeline|store|bus)\/.*)$/.exec(url)?.[1] ?? [])
  return { out: stdout, packages: [...packages].toSorted(), own }
}

describe('help', () => {
  it('names every command, and loads nothing but what prints it', () => {
    const { out, packages, own } = run('--help')
    for (const name of names) assert.match(out, new RegExp(`^ {2}${name}\\b`, 'm'))
    assert.deepEqual(packages, ['commander'])
    assert.deepEqual(own.toSorted(), ['cli/commands.ts', 'cli/main.ts', 'cli/output.ts', 'cli/program.ts'])
  })

  for (const args of [
    ['keys', '--help'],
    ['help', 'keys'],
  ])
    it(`of one command, by cordon ${args.join(' ')}, loads that command alone`, () => {
      const { out, packages, own } = run(...args)
      assert.match(out, /rotate \[options\] <key-or-principal>/)
      assert.deepEqual(packages, ['commander', 'zod'])
      const others = own.filter((path) => path.startsWith('cli/commands/') && !/\/(keys|client-command)\.ts$/.test(path))
      assert.deepEqual(others, [])
    })

  for (const name of ['start', 'node', 'console'])
    it(`of ${name} loads no model runtime, store or client of Kafka`, () => {
      const { out, packages } = run(name, '--help')
      assert.match(out, /--config <file>/)
      const heavy = packages.filter((name) => /^(@tensorflow\/|@clickhouse\/|chdb$|kafkajs$|lmdb$|fastify$)/.test(name))
      assert.deepEqual(heavy, [])
    })
})

describe('a command', () => {
  for (const name of names)
    it(`${name} is whole once it is asked for`, async () => {
      const program = await openProgram('1.2.3', [name])
      const whole = program.commands.filter(({ commands, options }) => commands.length > 0 || options.length > 0)
      assert.deepEqual(
        whole.map((command) => command.name()),
        [name],
      )
    })
})
