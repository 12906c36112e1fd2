import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { FindingDraft } from '../../detectors/contract.ts'
import { Memory } from '../../detectors/near-duplicate-probing/memory.ts'
import { nearDuplicateProbing } from '../../detectors/near-duplicate-probing/near-duplicate-probing.ts'
import { decodeSketch, sketchDistance } from '../../detectors/statistics/sketch.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { Finding } from '../../schemas/index.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { hopSkipJump } from '../attacks/hopskipjump.ts'
import { nes } from '../attacks/nes.ts'
import type { AttackResult, Oracle, Target } from '../attacks/oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { simba } from '../attacks/simba.ts'
import { squareAttack } from '../attacks/square.ts'
import { benignKinds } from '../benign/clients.ts'
import { noisy } from '../benign/image.ts'
import { Driver } from '../lab/driver.ts'
import { openVictim, type Victim } from '../lab/victim.ts'

const images = loadMnist('test')
const image = (i: number) => images.images.subarray(i * pixels, (i + 1) * pixels)

const blank = {
  seq: 0,
  event: '',
  at: 0,
  organization: null,
  confidence: 1,
  margin: 1,
  doubt: 0,
  strangeness: 0,
  residual: 0,
  reference: 1,
  cluster: 0,
  parent: 0,
  step: 0,
  share: 0,
  children: 0,
}

let victim: Victim
let ordinary: Fingerprint[]
before(async () => {
  victim = await openVictim()
  ordinary = []
  for (let at = 0; at < images.count; at += 250) {
    const batch = Array.from({ length: 250 }, (_, i) => image(at + i))
    ordinary.push(...(await victim.observe(batch)).map((each) => each.fingerprint))
  }
})
after(() => victim.close())

/** An image that the model reads rightly. */
function targetOf(random: Random): Target {
  for (;;) {
    const i = random.below(images.count)
    const label = images.labels[i] ?? 0
    if (ordinary[i]?.output.label === label) return { source: image(i), label }
  }
}

/** An oracle that answers truly and shows every query to the detector; `accounts` take turns. */
function watched(driver: Driver, accounts = 1) {
  const findings: FindingDraft[] = []
  let queries = 0
  let first: number | null = null
  const oracle: Oracle = {
    query: async (asked) => {
      if (first !== null) return { refused: true, status: 429, retryAfterMs: null }
      const [seen] = await victim.observe([asked])
      assert.ok(seen)
      findings.push(...driver.feed(`attacker-${queries++ % accounts}`, seen.fingerprint))
      if (findings.length > 0) first = queries
      return { refused: false, label: seen.fingerprint.output.label, probabilities: seen.probabilities }
    },
  }
  return { oracle, findings, caughtAt: () => first }
}

function boundary(oracle: Oracle, random: Random, budget = 40, bisect = true): Promise<AttackResult> {
  const target = targetOf(random)
  let start = targetOf(random)
  while (start.label === target.label) start = targetOf(random)
  return boundaryAttack(oracle, target, { random, budget, start: start.source, bisect })
}

describe('near-duplicate probing fires on', () => {
  for (const bisect of [true, false]) {
    test(`a boundary attack${bisect ? '' : ' that does not bisect'} within 20 queries, on 20 of 20 seeds`, async () => {
      for (let seed = 0; seed < 20; seed++) {
        const { oracle, caughtAt } = watched(new Driver())
        await boundary(oracle, seeded(seed), 40, bisect)
        assert.ok((caughtAt() ?? 41) <= 20, `seed ${seed}: ${caughtAt()}`)
      }
    })
  }

  test('a boundary attack split over ten accounts, naming those that took part', async () => {
    for (let seed = 0; seed < 8; seed++) {
      const { oracle, caughtAt, findings } = watched(new Driver(), 10)
      await boundary(oracle, seeded(100 + seed))
      assert.ok((caughtAt() ?? 41) <= 30, `seed ${seed}: ${caughtAt()}`)
      assert.ok((findings[0]?.principals.length ?? 0) > 1)
    }
  })

  test('NES and SimBA within 30 queries', async () => {
    for (let seed = 0; seed < 5; seed++) {
      for (const attack of [nes, simba]) {
        const { oracle, caughtAt } = watched(new Driver())
        const random = seeded(200 + seed)
        await attack(oracle, targetOf(random), { random, budget: 40 })
        assert.ok((caughtAt() ?? 41) <= 30, `${attack.name} seed ${seed}: ${caughtAt()}`)
      }
    }
  })

  test('HopSkipJump under noise that is added to every query, within 40 queries on 7 of 8 seeds', async () => {
    for (const sigma of [0.01, 0.02]) {
      let caught = 0
      for (let seed = 0; seed < 8; seed++) {
        const random = seeded(600 + seed)
        const { oracle, caughtAt } = watched(new Driver())
        const target = targetOf(random)
        let start = targetOf(random)
        while (start.label === target.label) start = targetOf(random)
        await hopSkipJump({ query: (asked) => oracle.query(noisy(asked, sigma, random)) }, target, {
          random,
          budget: 40,
          start: start.source,
        })
        if (caughtAt() !== null) caught++
      }
      assert.ok(caught >= 7, `${caught} of 8 at ${sigma}`)
    }
  })

  test('a search that begins with an image a camera has long been sending, within 25 queries', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const driver = new Driver()
      const random = seeded(700 + seed)
      const target = targetOf(random)
      const frames = Array.from({ length: 200 }, () => noisy(target.source, 0.02, random))
      for (const { fingerprint } of await victim.observe(frames)) assert.deepEqual(driver.feed('camera', fingerprint), [])
      assert.ok(driver.strides().includes(4), 'the camera is not looked at less')
      const { oracle, caughtAt, findings } = watched(driver)
      await simba(oracle, target, { random, budget: 40, epsilon: 0.2 })
      assert.ok((caughtAt() ?? 41) <= 25, `seed ${seed}: ${caughtAt()}`)
      assert.ok(findings.every((each) => !each.principals.includes('camera')))
      // Whoever is kept away from there, it is not the camera.
      assert.ok(findings.every(({ evidence }) => evidence['bystanders'] === 'camera'))
    }
  })

  test('Square within 20 queries, whoever it is that searches', async () => {
    for (const accounts of [1, 5]) {
      for (let seed = 0; seed < 8; seed++) {
        const { oracle, caughtAt } = watched(new Driver(), accounts)
        const random = seeded(400 + seed)
        const { queries } = await squareAttack(oracle, targetOf(random), { random, budget: 40, epsilon: 0.15 })
        // Some images are misread soon: then there is hardly a search.
        if (queries > 20) assert.ok((caughtAt() ?? 41) <= 20, `seed ${seed}, ${accounts} accounts: ${caughtAt()}`)
      }
    }
  })
})

describe('near-duplicate probing is silent on', () => {
  test('10,000 ordinary images from 100 principals, one in twenty sent again', () => {
    const driver = new Driver()
    const random = seeded(7)
    const order = [...ordinary.keys()].sort(() => random.next() - 0.5)
    const found: FindingDraft[] = []
    for (const i of order) {
      const fingerprint = ordinary[i]
      assert.ok(fingerprint)
      const principal = `client-${random.below(100)}`
      for (let again = random.next() < 0.05 ? 2 : 1; again > 0; again--) found.push(...driver.feed(principal, fingerprint))
    }
    assert.deepEqual(found, [])
  })

  for (const name of ['retries', 'video', 'static camera 0.01', 'static camera 0.05', 'augmentation', 're-encoding']) {
    test(`${name}, 5 clients`, async () => {
      const kind = benignKinds.find((each) => each.name === name)
      assert.ok(kind)
      for (let client = 0; client < 5; client++) {
        const driver = new Driver()
        const random = seeded(300 + client)
        const requests = kind.requests(() => image(random.below(images.count)), random).slice(0, 100)
        for (const { fingerprint } of await victim.observe(requests)) assert.deepEqual(driver.feed('client', fingerprint), [])
      }
    })
  }

  test('a camera that sends five hundred frames of what the model cannot decide', async () => {
    const undecided = [...ordinary.keys()].sort((a, b) => (ordinary[a]?.output.margin ?? 1) - (ordinary[b]?.output.margin ?? 1))
    for (const i of undecided.slice(0, 4)) {
      const driver = new Driver()
      const random = seeded(800 + i)
      const frames = Array.from({ length: 500 }, () => noisy(image(i), 0.02, random))
      for (const { fingerprint } of await victim.observe(frames)) assert.deepEqual(driver.feed('camera', fingerprint), [])
    }
  })

  test('ten who draw side by side, each of whom goes on from his own last stroke', async () => {
    const kind = benignKinds.find(({ name }) => name === 'drawing')
    assert.ok(kind)
    for (const seed of [961, 966, 969, 973]) {
      const random = seeded(seed)
      const seen: Fingerprint[][] = []
      for (let client = 0; client < 10; client++) {
        const strokes = kind.requests(() => image(random.below(images.count)), random)
        seen.push((await victim.observe(strokes)).map(({ fingerprint }) => fingerprint))
      }
      const driver = new Driver()
      const longest = Math.max(...seen.map(({ length }) => length))
      for (let i = 0; i < longest; i++)
        for (const [client, strokes] of seen.entries()) {
          const stroke = strokes[i]
          if (stroke) assert.deepEqual(driver.feed(`client-${client}`, stroke), [], `seed ${seed}`)
        }
    }
  })

  test('images of one odd texture, each sent again with noise', async () => {
    for (let client = 0; client < 12; client++) {
      const driver = new Driver()
      const random = seeded(900 + client)
      const grain = Array.from({ length: pixels }, () => 0.3 * random.normal())
      const odd = () => image(random.below(images.count)).map((value, i) => Math.min(1, Math.max(0, value + (grain[i] ?? 0))))
      const sent = Array.from({ length: 4 }, odd).flatMap((x) => [x, ...Array.from({ length: 20 }, () => noisy(x, 0.1, random))])
      for (const { fingerprint } of await victim.observe(sent)) assert.deepEqual(driver.feed('client', fingerprint), [])
    }
  })

  test('one image sent a thousand times', () => {
    const driver = new Driver()
    const fingerprint = ordinary[0]
    assert.ok(fingerprint)
    for (let i = 0; i < 1_000; i++) assert.deepEqual(driver.feed(`client-${i % 3}`, fingerprint), [])
  })
})

describe('near-duplicate probing', () => {
  /** An attack of 30 queries among ordinary ones, as events. */
  async function mixed() {
    const { oracle } = watched(new Driver())
    const seen: [string, Fingerprint][] = []
    const keep: Oracle = {
      query: async (asked) => {
        const [observed] = await victim.observe([asked])
        assert.ok(observed)
        seen.push(['attacker', observed.fingerprint])
        const other = ordinary[seen.length]
        if (other) seen.push(['client', other])
        return { refused: false, label: observed.fingerprint.output.label, probabilities: observed.probabilities }
      },
    }
    assert.ok(oracle)
    await boundary(keep, seeded(11), 30)
    return seen
  }

  test('finds the same after a snapshot anywhere', async () => {
    const events = await mixed()
    const straight = new Driver()
    const expected = events.map(([principal, fingerprint]) => straight.feed(principal, fingerprint))
    assert.ok(expected.flat().length > 0)
    for (const at of [0, 1, 7, 20]) {
      const first = new Driver()
      const begin = events.slice(0, at).map(([principal, fingerprint]) => first.feed(principal, fingerprint))
      const second = new Driver().restore(first.snapshot())
      assert.equal(second.snapshot(), first.snapshot())
      const end = events.slice(at).map(([principal, fingerprint]) => second.feed(principal, fingerprint))
      assert.deepEqual([...begin, ...end], expected)
    }
  })

  test('states few findings, and what the console draws', async () => {
    const driver = new Driver()
    const drafts = (await mixed()).flatMap(([principal, fingerprint]) => driver.feed(principal, fingerprint))
    assert.ok(drafts.length >= 1 && drafts.length <= 4, `${drafts.length} findings`)
    const [draft] = drafts
    assert.ok(draft)
    assert.deepEqual(draft.principals, ['attacker'])
    assert.ok(drafts.every((each) => each.opened === draft.opened))
    const { opened: _, ...rest } = draft
    const finding = {
      ...rest,
      id: '0'.repeat(32),
      revision: 0,
      time: 1,
      detector: nearDuplicateProbing.id,
      version: nearDuplicateProbing.version,
      scope: 's',
      threats: [...nearDuplicateProbing.threats],
      decidedBy: null,
    }
    assert.deepEqual(Finding.parse(finding), finding)
    const { labels, distances, margins, order } = draft.evidence
    assert.ok(Array.isArray(labels) && Array.isArray(distances) && Array.isArray(margins) && Array.isArray(order))
    assert.equal(new Set([labels.length, distances.length, margins.length, order.length]).size, 1)
  })

  test('states an attack again while it goes on, so that no lease about it runs out', async () => {
    const driver = new Driver(60_000)
    const stated: number[] = []
    let minutes = 0
    const oracle: Oracle = {
      query: async (asked) => {
        const [seen] = await victim.observe([asked])
        assert.ok(seen)
        minutes++
        if (driver.feed('attacker', seen.fingerprint).length > 0) stated.push(minutes)
        return { refused: false, label: seen.fingerprint.output.label, probabilities: seen.probabilities }
      },
    }
    await boundary(oracle, seeded(3), 120)
    const gaps = stated.slice(1).map((at, i) => at - (stated[i] ?? 0))
    assert.ok(stated.length > 8 && (stated.at(-1) ?? 0) > minutes - 10, `stated at ${stated.join(', ')} of ${minutes}`)
    assert.ok(Math.max(...gaps) <= 9, `${gaps.join(', ')} minutes apart`)
  })

  test('names the next account within five of its queries, and a stranger with the same image never', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const driver = new Driver()
      const random = seeded(500 + seed)
      const target = targetOf(random)
      let queries = 0
      const named: string[] = []
      let joinedAt: number | null = null
      const oracle: Oracle = {
        query: async (asked) => {
          const [seen] = await victim.observe([asked])
          assert.ok(seen)
          const found = driver.feed(queries++ < 20 ? 'first' : 'second', seen.fingerprint)
          named.push(...found.flatMap((each) => each.principals))
          if (joinedAt === null && named.includes('second')) joinedAt = queries
          return { refused: false, label: seen.fingerprint.output.label, probabilities: seen.probabilities }
        },
      }
      const [natural] = await victim.observe([target.source.map((value) => Math.min(1, value + 0.01))])
      assert.ok(natural)
      driver.feed('stranger', natural.fingerprint)
      await simba(oracle, target, { random, budget: 40, epsilon: 0.2 })
      assert.ok(named.includes('first'), `seed ${seed}`)
      assert.ok(!named.includes('stranger'), `seed ${seed}`)
      assert.ok((joinedAt ?? 99) <= 25, `seed ${seed}: ${joinedAt}`)
    }
  })

  test('draws a cluster: at most 24 points on a plane, under 4 KB, distances kept', async () => {
    const driver = new Driver()
    const drafts = (await mixed()).flatMap(([principal, fingerprint]) => driver.feed(principal, fingerprint))
    const { evidence } = drafts.at(-1) ?? assert.fail('nothing found')
    const columns = ['order', 'parents', 'x', 'y', 'distances', 'anchor', 'labels', 'margins', 'principal'].map((name) => evidence[name])
    for (const column of columns) assert.ok(Array.isArray(column) && column.length <= 24 && column.length > 3)
    assert.equal(new Set(columns.map((column) => Array.isArray(column) && column.length)).size, 1)
    assert.ok(JSON.stringify(evidence).length < 4_096)
    const { x, y, anchor } = evidence
    assert.ok(Array.isArray(x) && Array.isArray(y) && Array.isArray(anchor))
    // A projection shortens; on the two leading directions not by much.
    for (const i of x.keys()) {
      const shown = Math.hypot(Number(x[i]) - Number(x[0]), Number(y[i]) - Number(y[0]))
      assert.ok(shown <= Number(anchor[i]) * 1.01 + 0.01, `point ${i}: ${shown} of ${anchor[i]}`)
    }
    const furthest = Math.max(...anchor.map(Number))
    assert.ok(Math.max(...x.map((value) => Math.abs(Number(value) - Number(x[0])))) > furthest / 3)
  })

  test('finds 99 in 100 of the neighbours that a scan of everything finds', async () => {
    const memory = new Memory(4_096)
    let links = 0
    let found = 0
    const background = ordinary.slice(0, 3_000).map((each) => ({ principal: 'client', each }))
    const attack = (await mixed()).map(([principal, each]) => ({ principal, each }))
    for (const [i, { principal, each }] of [...background, ...attack].entries()) {
      const vector = decodeSketch(each.sketch)
      const bands = new Uint32Array(new Uint8Array(Buffer.from(each.bands, 'base64')).buffer)
      assert.ok(memory.accepts(vector))
      const radius = (0.45 * each.referenceDistance) / each.scale
      let least = Number.POSITIVE_INFINITY
      for (let seq = 1; seq <= memory.size; seq++) {
        const other = memory.vector(seq)
        if (other) least = Math.min(least, sketchDistance(vector, other))
      }
      // Each from an account of its own: nothing but the bands leads to it.
      const nearest = memory.nearest({ vector, bands, principal: `${principal}-${i}`, radius }, [], () => [])
      if (principal === 'attacker' && least < radius) {
        links++
        if (nearest && nearest.distance < radius) found++
      }
      memory.add({ ...blank, principal: `${principal}-${i}`, exact: each.exact, label: each.output.label }, vector, bands)
    }
    assert.ok(links >= 20)
    assert.ok(found >= 0.99 * links, `${found} of ${links}`)
  })

  test('keeps models, profiles and key epochs apart', () => {
    const driver = new Driver()
    const fingerprint = ordinary[0]
    assert.ok(fingerprint)
    const scope = (changes: Partial<Fingerprint>) => nearDuplicateProbing.scope(driver.event('a', { ...fingerprint, ...changes }))
    assert.notEqual(scope({ epoch: 1 }), scope({}))
    assert.notEqual(scope({ profile: 'other' }), scope({}))
  })

  test('ignores a sketch that is cut or no base64 rather than throw', () => {
    const driver = new Driver()
    for (const [i, sketch] of ['', 'AA==', '!!!!', ordinary[1]?.sketch.slice(0, 8) ?? ''].entries()) {
      const fingerprint = ordinary[i]
      assert.ok(fingerprint)
      assert.deepEqual(driver.feed('client', { ...fingerprint, sketch }), [])
    }
  })

  test('memory and clusters stay within their bounds', () => {
    const logic = nearDuplicateProbing.start(nearDuplicateProbing.params.parse({ window: 64, maxClusters: 4, linkShare: 1 }))
    const driver = new Driver()
    let state = logic.initial(0)
    for (let i = 0; i < 2_000; i++) {
      const fingerprint = ordinary[i]
      assert.ok(fingerprint)
      state = logic.onEvent(state, driver.event(`client-${i}`, fingerprint))?.state ?? state
    }
    assert.equal(state.memory.size, 64)
    assert.ok(state.clusters.length <= 4)
    const { events, recent } = state.memory.toJSON()
    assert.equal(events.length, 64)
    assert.ok(recent.length <= 64)
  })
})
