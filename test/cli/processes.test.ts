import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { pino } from 'pino'
import { loadConfig } from '../../cli/config/load.ts'
import { environmentOf, startNodes } from '../../cli/instance/nodes.ts'
import { openProcesses, type Processes } from '../../cli/instance/processes.ts'

const child = new URL('process-child.ts', import.meta.url)
type How = 'well' | 'badly' | 'fails' | 'never'

/** What became of each process that was begun, in order. */
class Begun {
  readonly all: { readonly number: number; readonly process: ChildProcess }[] = []
  readonly lines: string[] = []
  readonly #hows: (number: number, time: number) => How
  #told = Promise.withResolvers<void>()

  constructor(hows: (number: number, time: number) => How = () => 'well') {
    this.#hows = hows
  }

  open(count: number): Promise<Processes> {
    const log = pino({ base: null, timestamp: false }, { write: (line) => void this.lines.push(line) })
    return openProcesses({ count, begin: (number) => this.#begin(number), log })
  }

  /** The process that was begun as the n-th, from 1, ready. */
  async ready(n: number): Promise<ChildProcess> {
    const process = await this.begun(n)
    if (!readies.has(process)) await once(process, 'message')
    return process
  }

  async begun(n: number): Promise<ChildProcess> {
    while (this.all.length < n) await this.#told.promise
    return this.all[n - 1]?.process ?? assert.fail()
  }

  #begin(number: number): ChildProcess {
    const time = this.all.filter((one) => one.number === number).length + 1
    const process = fork(child, [this.#hows(number, time)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    process.once('message', () => readies.add(process))
    this.all.push({ number, process })
    this.#told.resolve()
    this.#told = Promise.withResolvers()
    return process
  }
}

const readies = new WeakSet<ChildProcess>()
const isGone = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

test('all are ready once it is open, and all have stopped in order once it is stopped', async () => {
  const begun = new Begun()
  const processes = await begun.open(3)
  assert.deepEqual(
    begun.all.map(({ number, process }) => [number, readies.has(process)]),
    [1, 2, 3].map((number) => [number, true]),
  )
  assert.equal(await processes.stop(), true)
  assert.ok(begun.all.every(({ process }) => process.exitCode === 0))
  assert.deepEqual(begun.lines, [])
})

test('one that does not start in order is told of, and none stays behind', async () => {
  const begun = new Begun((number) => (number === 2 ? 'fails' : 'well'))
  await assert.rejects(begun.open(3), { code: 'START_FAILED', message: 'process 2 of 3: it ended with status 3 before it was ready' })
  assert.ok(begun.all.every(({ process }) => isGone(process)))
  assert.equal(begun.all.length, 3, 'nor is it tried again')
})

test('one that is killed is begun again, also where that takes several tries, and the others go on', async () => {
  const begun = new Begun((number, time) => (number === 1 && (time === 2 || time === 3) ? 'fails' : 'well'))
  const processes = await begun.open(2)
  const [first, second] = [await begun.ready(1), await begun.ready(2)]
  first.kill('SIGKILL')
  // Two tries fail; the fifth process that is begun is the fourth of number 1.
  assert.equal(isGone(await begun.ready(5)), false)
  assert.equal(begun.all[4]?.number, 1)
  assert.equal(isGone(second), false)
  assert.equal(await processes.stop(), true)
  assert.ok(begun.all.every(({ process }) => isGone(process)))
  const told = begun.lines.map((line) => JSON.parse(line))
  assert.deepEqual(
    told.map(({ process, code, signal }) => [process, code, signal]),
    [
      [1, null, 'SIGKILL'],
      [1, 3, null],
      [1, 3, null],
    ],
  )
})

test('whether all stopped well is said', async () => {
  const processes = await new Begun((number) => (number === 2 ? 'badly' : 'well')).open(2)
  assert.equal(await processes.stop(), false)
})

test('one that is still beginning when all are stopped is ended, and that is in order', async () => {
  const begun = new Begun((_, time) => (time === 2 ? 'never' : 'well'))
  const processes = await begun.open(1)
  ;(await begun.ready(1)).kill('SIGKILL')
  await begun.begun(2)
  assert.equal(await processes.stop(), true)
  assert.ok(begun.all.every(({ process }) => isGone(process)))
})

test('each has a name, a folder and a metrics port of its own, and shares the port', () => {
  const flags = new Map<string, unknown>([
    ['dataDir', 'data'],
    ['inference.port', 8_443],
    ['inference.node', 'edge'],
    ['inference.processes', 4],
    ['metrics.port', 9_100],
  ])
  const { config } = loadConfig({ environment: {}, flags })
  assert.deepEqual(environmentOf(3, config), {
    CORDON_DATA_DIR: 'data/node-3',
    CORDON_INFERENCE_NODE: 'edge-3',
    CORDON_INFERENCE_PORT: '8443',
    CORDON_INFERENCE_PROCESSES: '1',
    CORDON_INFERENCE_REUSE_PORT: 'true',
    CORDON_METRICS_PORT: '9102',
    CORDON_LOG_LEVEL: 'info',
  })
  const told = loadConfig({ environment: environmentOf(3, config), flags: new Map() }).config
  assert.deepEqual([told.inference.node, told.inference.processes, told.inference.reusePort, told.metrics.port], ['edge-3', 1, true, 9_102])
})

test('what several cannot share is refused before any is begun', () => {
  const rows: readonly (readonly [string, unknown, RegExp])[] = [
    ['inference.port', 0, /^inference\.port: 2 processes/],
    ['metrics.port', 65_535, /^metrics\.port: 2 processes/],
    ['inference.node', 'n'.repeat(121), /^inference\.node: 2 processes/],
  ]
  for (const [path, value, message] of rows) {
    const { config } = loadConfig({
      environment: {},
      flags: new Map<string, unknown>([
        ['inference.processes', 2],
        [path, value],
      ]),
    })
    assert.throws(() => startNodes(config, { file: null, json: false }), { code: 'CONFIG_INVALID', message })
  }
})
