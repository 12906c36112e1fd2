import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { roleStatus } from '../../cli/instance/role-status.ts'
import type { InstanceView } from '../../console/port.ts'
import { at, instance } from '../console/ports.ts'

const assignment = { topic: 'requests', partition: 0, standby: false, offset: 1, end: 1, lagMs: 0 }
const one = instance({ role: 'node', instance: 'node-1', fingerprintKey: 'aaaaaaaaaa' })
const two = instance({ role: 'node', instance: 'node-2', fingerprintKey: 'aaaaaaaaaa' })
const gone = { ...two, alive: false, heardAt: at - 30_000 }
const stopped = { ...two, alive: false, state: 'stopped', heardAt: at - 300_000 } as const

describe('the state of a role', () => {
  const cases: readonly [what: string, all: readonly InstanceView[], behind: number, ok: boolean, summary: RegExp][] = [
    ['no process ever', [], 0, false, /^no process of this role is running$/],
    ['processes of other roles alone', [instance({ role: 'detect', instance: 'd' })], 0, false, /^no process/],
    ['one', [one], 0, true, /^at work$/],
    ['two', [one, two], 0, true, /^2 processes$/],
    [
      'two with partitions',
      [
        { ...one, assignments: [assignment] },
        { ...two, assignments: [{ ...assignment, standby: true }] },
      ],
      0,
      true,
      /^2 processes, 1 partitions$/,
    ],
    ['one that is not well', [{ ...one, ok: false, summary: 'the disk is full' }], 0, false, /^the disk is full$/],
    ['one of two that is not well', [one, { ...two, ok: false, summary: 'the disk is full' }], 0, false, /^node-2: the disk is full$/],
    ['one alive and one gone', [one, gone], 0, true, /^at work; gone: node-2, last heard 30 s ago$/],
    ['all gone', [gone], 0, false, /^no process of this role is running; gone: node-2, last heard 30 s ago$/],
    ['one stopped in order', [one, stopped], 0, true, /^at work$/],
    ['all stopped in order', [stopped], 0, false, /^no process of this role is running; stopped: node-2 5 min ago$/],
    ['a backlog', [one], 50_000, false, /^50000 records behind$/],
    ['nearly one', [one], 49_999, true, /^at work$/],
    [
      'nodes of different keys',
      [one, { ...two, fingerprintKey: 'bbbbbbbbbb' }],
      0,
      false,
      /different fingerprint keys.*node-1 aaaaaaaa; node-2 bbbbbbbb; give all the same secretsFile/,
    ],
    ['a dead node of another key', [one, { ...gone, fingerprintKey: 'bbbbbbbbbb' }], 0, true, /^at work; gone/],
  ]
  for (const [what, all, behind, ok, summary] of cases) {
    it(`with ${what} is ${ok ? 'well' : 'not well'}`, () => {
      const status = roleStatus('node', all, at, behind)
      assert.equal(status.ok, ok)
      assert.match(status.summary, summary)
    })
  }
})
