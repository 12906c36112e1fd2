import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView } from '../../bus/view.ts'
import { type ContainmentViews, type ContainmentViewsOptions, watchContainments } from '../../cli/instance/containment-views.ts'
import type { ContainmentView } from '../../console/port.ts'
import { type Acknowledgement, type Containment, Containment as Lease, topics } from '../../schemas/index.ts'
import { at, containment } from '../console/ports.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'

const until = at + 600_000
const lease: Containment = Lease.parse(containment(until))
const by = (node: string, revision: number, afterMs: number | null, when = at + (afterMs ?? 0)): Acknowledgement => ({
  lease: lease.id,
  revision,
  node,
  at: when,
  enforcedAfterMs: afterMs,
})

interface Watched {
  readonly bus: EventBus
  readonly views: ContainmentViews
  readonly clock: { now: number }
  /** Puts these on the log, and resolves with the lease as shown once the last was read. */
  after(...said: readonly (Containment | Acknowledgement)[]): Promise<ContainmentView>
}

async function watch(t: TestContext, options: Partial<ContainmentViewsOptions> = {}): Promise<Watched> {
  const bus = await createEmbeddedBus({ path: join(temporaryDataDir(t), 'log') })
  await bus.ensureTopics(Object.values(topics))
  const leases = await openView(bus, 'containments')
  const clock = { now: at }
  const failed = (error: unknown) => assert.fail(String(error))
  const views = await watchContainments({
    bus,
    leases,
    clock: () => clock.now,
    liveNodes: () => ['node-1', 'node-2'],
    onError: failed,
    ...options,
  })
  t.after(async () => {
    await views.close()
    await leases.close()
    await bus.close()
  })
  const after: Watched['after'] = async (...said) => {
    for (const one of said) {
      const record =
        'node' in one
          ? encode('acknowledgements', newEvent('acknowledgement', one, 't', one.at))
          : encode('containments', newEvent('containment', one, 't', at))
      await bus.publish([record])
    }
    // A marker behind them all, on each of the two topics.
    const marker = { ...lease, id: `principal:marker-${said.length}-${clock.now}/x`, target: 'principal:marker' }
    const seen = Promise.withResolvers<void>()
    const stop = views.onChange((view) => {
      if (view.id === marker.id && view.acknowledgements.length === 1) seen.resolve()
    })
    await bus.publish([encode('containments', newEvent('containment', marker, 't', at))])
    await bus.publish([encode('acknowledgements', newEvent('acknowledgement', { ...by('m', 0, null), lease: marker.id }, 't', at))])
    await seen.promise
    stop()
    clock.now += 1
    return views.get(lease.id) ?? assert.fail('no such lease')
  }
  return { bus, views, clock, after }
}

describe('a containment and who enforces it', () => {
  it('awaits every live node until it acknowledged the newest revision', async (t) => {
    const { after, clock, views } = await watch(t)
    assert.deepEqual((await after(lease)).awaiting, ['node-1', 'node-2'])
    assert.deepEqual((await after(by('node-1', 0, 21))).awaiting, ['node-2'])
    assert.deepEqual((await after(by('node-2', 0, 35), by('node-9', 0, 30))).awaiting, [], 'a node that is gone now is nobody to wait for')
    assert.deepEqual((await after({ ...lease, revision: 1, until: until + 1 })).awaiting, ['node-1', 'node-2'])
    assert.deepEqual((await after(by('node-2', 1, 500))).awaiting, ['node-1'])
    clock.now = until + 1
    assert.deepEqual(views.get(lease.id)?.awaiting, [], 'its time is up')
  })

  it('awaits nobody once it was released', async (t) => {
    const { after } = await watch(t)
    assert.deepEqual((await after({ ...lease, state: 'released', revision: 1 })).awaiting, [])
  })

  it('was enforced when the slowest node first did, whatever extended it later', async (t) => {
    const { after } = await watch(t)
    const extended = { ...lease, revision: 1, until: until + 1 }
    const view = await after(lease, by('node-1', 0, 21), by('node-2', 0, 35), extended, by('node-1', 1, 9_000), by('node-2', 1, 9_001))
    assert.equal(view.enforcedAfterMs, 35)
    assert.deepEqual(
      view.acknowledgements.map((a) => `${a.node} ${a.revision} ${a.enforcedAfterMs}`),
      ['node-1 0 21', 'node-2 0 35', 'node-1 1 9000', 'node-2 1 9001'],
    )
  })

  it('tells a new decision from the last one', async (t) => {
    const { after } = await watch(t)
    // The second decision came 60 s later: node-1 holds it 12 ms after that, node-2 has only the first.
    const anew = { ...lease, revision: 2, from: at + 60_000, decidedAt: at + 60_000 }
    const view = await after(lease, by('node-1', 0, 21), by('node-2', 0, 35), anew, by('node-1', 2, 12, at + 60_012))
    assert.equal(view.enforcedAfterMs, 12)
    assert.deepEqual(view.awaiting, ['node-2'])
    assert.deepEqual(
      view.acknowledgements.map((a) => a.node),
      ['node-1'],
    )
  })

  it('keeps the first time of a node that began anew', async (t) => {
    const { after } = await watch(t)
    const view = await after(lease, by('node-1', 0, 21), by('node-1', 0, null, at + 5_000))
    assert.equal(view.enforcedAfterMs, 21)
    assert.deepEqual(
      view.acknowledgements.map((a) => a.at - at),
      [21, 5_000],
    )
  })

  it("has no time where a person's order replaced the decision", async (t) => {
    const { after } = await watch(t)
    const ordered = { ...lease, revision: 1, decidedAt: null, owner: 'person:olga' }
    const view = await after(lease, by('node-1', 0, 21), ordered, by('node-1', 1, null, at + 100))
    assert.equal(view.enforcedAfterMs, null)
    assert.deepEqual(
      view.acknowledgements.map((a) => [a.revision, a.at - at]),
      [[1, 100]],
    )
    assert.deepEqual(view.awaiting, ['node-2'])
  })

  it('takes no notice of what is delivered twice, or late', async (t) => {
    const { after } = await watch(t)
    const first = by('node-1', 0, 21)
    const view = await after(lease, { ...lease, revision: 1 }, first, by('node-1', 1, 50), first, first)
    assert.deepEqual(
      view.acknowledgements.map((a) => [a.revision, a.enforcedAfterMs]),
      [
        [0, 21],
        [1, 50],
      ],
    )
  })

  it('keeps a bounded number of nodes, the newest', async (t) => {
    const { after } = await watch(t, { maxNodes: 3 })
    const view = await after(lease, ...['a', 'b', 'c', 'd', 'a'].map((node, i) => by(node, 0, i)))
    assert.deepEqual(view.acknowledgements.map((a) => a.node).sort(), ['a', 'c', 'd'])
  })
})
