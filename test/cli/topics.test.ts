import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { Config } from '../../cli/config/schema.ts'
import { checkTopics, topicConfigs } from '../../cli/instance/topics.ts'
import { roles, topics } from '../../schemas/index.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'

const configOf = (partitions: Record<string, number>) => Config.parse({ bus: { partitions } })

describe('the topics of a configuration', () => {
  it('are all there are, with the partitions that it says', () => {
    const found = topicConfigs(configOf({ requests: 12 }))
    assert.deepEqual(
      found.map(({ name }) => name),
      [...Object.keys(topics), 'snapshots'],
    )
    assert.deepEqual(
      found.find(({ name }) => name === 'requests'),
      { name: 'requests', partitions: 12, retentionMs: topics.requests.retentionMs, timestamps: 'append' },
    )
    assert.equal(found.find(({ name }) => name === 'flows')?.partitions, topics.flows.partitions)
    assert.equal(found.find(({ name }) => name === 'incidents')?.minCompactionLagMs, topics.incidents.minCompactionLagMs)
  })

  const refused: readonly [given: Record<string, number>, message: RegExp][] = [
    [{ request: 2 }, /^bus\.partitions\.request: no such topic; there are requests, .*snapshots$/],
    [{ containments: 2 }, /^bus\.partitions\.containments: has one partition/],
    [{ outcomes: 3 }, /^bus\.partitions\.outcomes: has one partition/],
  ]
  for (const [given, message] of refused) {
    it(`cannot be ${JSON.stringify(given)}`, () => {
      assert.throws(() => topicConfigs(configOf(given)), { code: 'CONFIG_INVALID', message })
    })
  }
})

describe('a role that starts', () => {
  async function opened(t: TestContext): Promise<EventBus> {
    const bus = await createEmbeddedBus({ path: join(temporaryDataDir(t), 'log') })
    t.after(() => bus.close())
    return bus
  }
  const used = new Set<string>([...roles.node.reads, ...roles.node.writes])

  it('is content with its own topics', async (t) => {
    const bus = await opened(t)
    await bus.ensureTopics(topicConfigs(configOf({})).filter(({ name }) => used.has(name)))
    await checkTopics(bus, configOf({}), 'node')
  })

  it('names those that are missing, and what makes them', async (t) => {
    const bus = await opened(t)
    await bus.ensureTopics(topicConfigs(configOf({})).filter(({ name }) => used.has(name) && name !== 'keys'))
    await assert.rejects(checkTopics(bus, configOf({}), 'node'), {
      code: 'START_FAILED',
      message: /see them: cordon\.keys\. Run `cordon topics apply`/,
    })
  })

  it('refuses those that are otherwise', async (t) => {
    const bus = await opened(t)
    await bus.ensureTopics(topicConfigs(configOf({})))
    await assert.rejects(checkTopics(bus, configOf({ requests: 9 }), 'node'), {
      code: 'TOPIC_MISMATCH',
      message: /topic cordon\.requests exists with other settings: partitions is 4, wanted 9/,
    })
  })
})
