import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { openView } from '../../../bus/view.ts'
import type { Action, Containment } from '../../../schemas/index.ts'
import { finding, hash, minute, start } from '../../responders/given.ts'
import { PausableBus } from '../pausable-bus.ts'
import { Given, type Running } from '../response-given.ts'
import { until } from '../until.ts'
import { countingOf } from './counting.ts'

/** Whom the findings name that were published. */
interface Model {
  readonly named: Set<string>
}

interface Process {
  readonly bus: PausableBus
  readonly running: Running
  readonly group: string
}

/**
 * Real workers on one log, each in a group of its own: every one of them is given every finding and takes charge when it
 * is, as if the group took all others for dead. It cannot get worse.
 */
class Real {
  readonly given: Given
  readonly processes: Process[] = []
  #opened = 0

  constructor(given: Given) {
    this.given = given
  }

  async open(): Promise<void> {
    const bus = new PausableBus(this.given.bus)
    const group = `g${this.#opened++}`
    this.processes.push({ bus, running: await this.given.start({ group }, bus), group })
  }

  /** Everybody goes on, until nothing is left to be done. */
  async settle(): Promise<void> {
    for (const { bus } of this.processes) await bus.goOn()
    const [end] = (await this.given.bus.partitions('findings')).map((state) => state.end)
    await until('every group to have handled everything', async () => {
      const groups = (await this.given.bus.groups()).filter(({ topic }) => topic === 'findings')
      return this.processes.every(({ group }) => end === 0 || groups.find((state) => state.group === group)?.committed === end)
    })
  }
}

type Step = fc.AsyncCommand<Model, Real>

class Find implements Step {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  check = () => true

  async run(model: Model, { given }: Real): Promise<void> {
    model.named.add(this.name)
    await given.publish(finding({ id: hash(this.name), principals: [this.name], confidence: 0.8 }))
  }

  toString = () => `find(${this.name})`
}

class Start implements Step {
  check = () => true

  async run(_model: Model, real: Real): Promise<void> {
    if (real.processes.length < 4) await real.open()
  }

  toString = () => 'start'
}

class Stop implements Step {
  readonly which: number

  constructor(which: number) {
    this.which = which
  }

  check = () => true

  async run(_model: Model, { processes }: Real): Promise<void> {
    processes[this.which % processes.length]?.bus.stop()
  }

  toString = () => `stop(${this.which})`
}

class GoOn implements Step {
  readonly which: number

  constructor(which: number) {
    this.which = which
  }

  check = () => true

  async run(_model: Model, { processes }: Real): Promise<void> {
    await processes[this.which % processes.length]?.bus.goOn()
  }

  toString = () => `goOn(${this.which})`
}

class Wait implements Step {
  readonly turns: number

  constructor(turns: number) {
    this.turns = turns
  }

  check = () => true

  async run(_model: Model, { given }: Real): Promise<void> {
    given.now += 1_000
    for (let i = 0; i < this.turns; i++) await given.bus.partitions('findings').then(() => new Promise((resolve) => setImmediate(resolve)))
  }

  toString = () => `wait(${this.turns})`
}

class Release implements Step {
  readonly which: number
  readonly name: string

  constructor(which: number, name: string) {
    this.which = which
    this.name = name
  }

  check = () => true

  async run(_model: Model, { processes }: Real): Promise<void> {
    // Whether it is refused, late or carried out: the log says afterwards.
    const { worker } = processes[this.which % processes.length]?.running ?? {}
    void worker?.release(`principal:${this.name}/throttle-principal`, 'ann').catch(() => {})
  }

  toString = () => `release(${this.which}, ${this.name})`
}

const which = fc.nat(3)
const name = fc.constantFrom('eve', 'mallory', 'trudy')
const steps = [
  name.map((given) => new Find(given)),
  fc.constant(new Start()),
  which.map((given) => new Stop(given)),
  which.map((given) => new GoOn(given)),
  fc.nat(20).map((given) => new Wait(given)),
  fc.tuple(which, name).map((given) => new Release(...given)),
]

describe('responders that each believe to be in charge', () => {
  it('lose no lease, bring none back, and execute no action twice', async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: 25, size: 'max' }), async (commands) => {
        const given = await Given.open()
        const real = new Real(given)
        const model: Model = { named: new Set() }
        try {
          await real.open()
          await fc.asyncModelRun(() => ({ model, real }), commands)
          await real.settle()
          await check(model, given)
        } finally {
          for (const { bus } of real.processes) await bus.goOn()
          await given.close()
        }
      }),
      { numRuns: 40, seed: 20_260_102 },
    )
  })
})

async function check(model: Model, given: Given): Promise<void> {
  const actions = await countingOf<Action>(given.bus, 'actions')
  const revisions = await countingOf<Containment>(given.bus, 'containments')
  const view = await openView(given.bus, 'containments')
  for (const principal of model.named) {
    const target = `principal:${principal}`
    const about = actions.filter((action) => action.target === target)
    const executed = new Set(about.filter(({ state }) => state === 'executed').map(({ id }) => id))
    assert.equal(about.filter(({ state }) => state === 'executed').length, executed.size, `${target}: an action was executed twice`)
    const lease = view.get(`${target}/throttle-principal`)
    assert.ok(lease !== undefined, `${target}: its lease is lost`)
    const grants = revisions.filter(({ id, state }) => id === lease.id && state === 'active')
    assert.equal(new Set(grants.map(({ revision }) => revision)).size, 1, `${target}: its lease was granted again`)
    assert.ok(lease.until <= start + 10 * minute + 60_000)
  }
  await view.close()
}
