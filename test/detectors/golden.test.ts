import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { detectors } from '../../detectors/registry.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { HostInput } from '../../pipeline/host/partition/partition-host.ts'
import type { Finding } from '../../schemas/index.ts'
import { snapshotLines } from '../contracts/detector.ts'
import { fingerprints, promptLog, queryLog } from './golden-log.ts'

// What came of fixed logs when these lines were written, so that who makes something faster sees that it is the same.
// Where a detector is meant to find something else, its version rises, and its new digest goes here.

const golden: Readonly<Record<string, string>> = {
  fingerprints: '490f07733535d8fe',
  prompts: 'e70d86d345b5c354',
  'extraction-ring 2': '65ce73f0a87ed415',
  'extraction-sweep 3': '3dc917967a00d5d4',
  'generation-abuse 2': 'c4145e22c32c4f50',
  'model-leakage 1': 'cb77d5537316e0d2',
  'near-duplicate-probing 4': '8589f20e8bef7d4a',
  'prompt-search 4': '936908e3b321ce98',
  'host fingerprint': 'b38d15cd69f3b8d3',
  'host prompt': 'f7ad11c0c0514b6b',
}

function digestOf(parts: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\n')
  return hash.digest('hex').slice(0, 16)
}

function check(name: string, digest: string): void {
  assert.equal(digest, golden[name], `${name} is not what it was: ${digest}`)
}

/** Where the defaults would find nothing in so few events, or never come round in what they remember. */
const params: Readonly<Record<string, unknown>> = {
  'model-leakage': { budget: 0.5, leastDistinct: 20 },
  'extraction-ring': { window: 512, oddWindow: 256, young: 8 },
  'near-duplicate-probing': { window: 2_048, maxClusters: 32 },
}

interface Replay {
  readonly findings: readonly Finding[]
  readonly lines: readonly string[]
}

/** All detectors of such events, with few enough keys that some are given up. */
function replay(log: readonly HostInput[], kind: 'fingerprint' | 'prompt'): Replay {
  const reading = detectors.filter(({ observes }) => observes.includes(kind))
  const hosted = reading.map((definition) => ({ definition: { ...definition, maxKeys: 120 }, params: params[definition.id] ?? {} }))
  const host = createPartitionHost(hosted, { topic: kind, partition: 0, rememberIds: 512 })
  const findings = log.flatMap((event, offset) => host.apply(event, offset))
  return { findings, lines: snapshotLines(host) }
}

describe('what is made and found of a fixed log is the same as ever:', () => {
  it('fingerprints', () => {
    const made = fingerprints(400, 7).map(({ fingerprint }) => JSON.stringify(fingerprint))
    assert.equal(new Set(made).size > 350, true)
    check('fingerprints', digestOf(made))
  })

  const runs = [
    { kind: 'fingerprint', log: queryLog(4_000, 1) },
    { kind: 'prompt', log: promptLog(1_200, 2) },
  ] as const
  it('prompts', () => check('prompts', digestOf(runs[1].log.map(({ data }) => JSON.stringify(data)))))

  for (const { kind, log } of runs) {
    const { findings, lines } = replay(log, kind)
    for (const { id, version } of detectors.filter(({ observes }) => observes.includes(kind))) {
      it(`${id}, its findings and its state`, () => {
        const own = findings.filter(({ detector }) => detector === id)
        assert.ok(own.length > 0, 'found nothing')
        const state = lines.filter((line) => line.startsWith(`{"detector":"${id}"`))
        assert.ok(state.length > 0, 'kept nothing')
        check(`${id} ${version}`, digestOf([...own.map((finding) => JSON.stringify(finding)), ...state]))
      })
    }
    it(`what the host says of ${kind}s`, () => {
      const own = findings.filter(({ detector }) => detector === 'blindness')
      const ids = lines.filter((line) => line.startsWith('{"ids"'))
      check(`host ${kind}`, digestOf([...own.map((finding) => JSON.stringify(finding)), ...ids]))
    })
  }
})
