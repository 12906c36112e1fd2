import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { InstanceStatus } from '../../console/port.ts'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import type { Finding } from '../../schemas/index.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import type { Oracle } from '../attacks/oracle.ts'
import { seeded } from '../attacks/random.ts'
import { type Instance, startInstance, temporaryDataDir, until } from './instance.ts'

const images = loadMnist('test')
const image = (i: number) => images.images.subarray(i * 784, (i + 1) * 784)

/** Everything sent so far has been looked at. */
async function settled(instance: Instance): Promise<void> {
  await until('the detectors have caught up', async () => {
    const status = await instance.api<InstanceStatus>('/api/status')
    return status.lag?.detect === 0 && status.lag.respond === 0 ? true : undefined
  })
}

describe('the started binary, over HTTP only', () => {
  let instance: Instance
  const cleanups: (() => Promise<void>)[] = []
  before(async () => {
    instance = await startInstance({ dataDir: temporaryDataDir({ after: (fn) => cleanups.push(fn) }) })
  })
  after(async () => {
    await instance?.stop()
    for (const cleanup of cleanups) await cleanup()
  })

  it('calls nobody for the 10,000 images of the test set sent from 100 keys', async () => {
    const keys = await Promise.all(Array.from({ length: 100 }, (_, i) => makeKey(instance, `reader-${i}`)))
    const order = shuffled(images.count, 11)
    let next = 0
    let answered = 0
    const oracles = keys.map((key) => httpOracle({ url: instance.inference, model: 'digits', key: () => key }))
    await Promise.all(
      oracles.slice(0, 24).map(async (_, lane) => {
        while (next < order.length) {
          const i = next++
          const oracle = oracles[(i + lane) % oracles.length]
          const answer = await oracle?.query(image(order[i] ?? 0))
          assert.equal(answer?.refused, false, `image ${i} was refused`)
          answered++
        }
      }),
    )
    assert.equal(answered, 10_000)
    await settled(instance)
    // How much was learned is told of everyone who asks much; nobody is called for it.
    const findings = await instance.cordon<Finding>('findings')
    assert.deepEqual(
      findings.filter(({ severity }) => severity !== 'info'),
      [],
    )
    assert.deepEqual(await instance.cordon('incidents'), [])
  })

  it('contains a boundary attack from a fresh key within 30 queries, on every one of 20 seeds', async () => {
    const rows: { seed: number; queries: number }[] = []
    for (let seed = 1; seed <= 20; seed++) {
      const random = seeded(seed)
      const principal = `attacker-${seed}`
      const key = await makeKey(instance, principal)
      let answered = 0
      let refusedAfter: number | null = null
      const oracle = httpOracle({
        url: instance.inference,
        model: 'digits',
        key: () => key,
        onAnswer: (answer) => {
          if (!answer.refused) answered++
          else refusedAfter ??= answered
        },
      })
      const at = random.below(images.count)
      const first = await oracle.query(image(at))
      assert.equal(first.refused, false)
      if (first.refused) continue
      let other = random.below(images.count)
      while (images.labels[other] === images.labels[at]) other = random.below(images.count)
      await boundaryAttack(oracle, { source: image(at), label: first.label }, { random, budget: 60, start: image(other) })
      assert.notEqual(refusedAfter, null, `seed ${seed}: never contained`)
      rows.push({ seed, queries: refusedAfter ?? Number.POSITIVE_INFINITY })
    }
    const sorted = rows.map((row) => row.queries).sort((a, b) => a - b)
    console.log(`answered before containment: median ${sorted[10]}, worst ${sorted.at(-1)}`)
    for (const { seed, queries } of rows) assert.ok(queries <= 30, `seed ${seed}: ${queries} queries were answered`)
    const findings = await instance.cordon<Finding>('findings')
    for (const { seed } of rows) {
      assert.ok(
        findings.some((finding) => finding.detector === 'near-duplicate-probing' && finding.principals.includes(`attacker-${seed}`)),
        `seed ${seed} was contained without a finding about it`,
      )
    }
  })

  it('answers no fresh key where an attack was contained, and everybody elsewhere', async () => {
    const random = seeded(101)
    const key = await makeKey(instance, 'rotator')
    let last = image(0)
    const direct = httpOracle({ url: instance.inference, model: 'digits', key: () => key })
    const oracle: Oracle = {
      query: (query) => {
        last = query.slice()
        return direct.query(query)
      },
    }
    const first = await oracle.query(image(7))
    assert.ok(!first.refused)
    const start = image(images.labels.findIndex((label) => label !== images.labels[7]))
    const { stopped } = await boundaryAttack(oracle, { source: image(7), label: first.label }, { random, budget: 60, start })
    assert.equal(stopped, 'refused')
    for (let i = 0; i < 10; i++) {
      const fresh = await makeKey(instance, `rotator-${i}`)
      const oracleOf = (bearer: string) => httpOracle({ url: instance.inference, model: 'digits', key: () => bearer })
      const step = last.map((value) => Math.min(1, Math.max(0, value + 0.01 * random.normal())))
      // Somebody else's, since who came near may be contained by now.
      const bystander = await makeKey(instance, `bystander-${i}`)
      const [near, far] = [await oracleOf(fresh).query(step), await oracleOf(bystander).query(image(5_000 + i))]
      assert.deepEqual([near.refused, far.refused], [true, false], `key ${i}`)
    }
  })
})

async function makeKey(instance: Instance, principal: string): Promise<string> {
  return (await instance.createKey(principal)).key
}

function shuffled(count: number, seed: number): number[] {
  const random = seeded(seed)
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1)
    ;[order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0]
  }
  return order
}
