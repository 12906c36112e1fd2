import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { generationAbuse } from '../../detectors/generation-abuse/generation-abuse.ts'
import { choose, planActions } from '../../responders/playbooks/choose.ts'
import { parsePlaybook } from '../../responders/playbooks/playbook.ts'
import { responders } from '../../responders/registry.ts'
import { seeded } from '../attacks/random.ts'
import { attacks } from '../lab/generations-attacks.ts'
import { eventsOf } from '../lab/generations-events.ts'
import { finding, hash, incident } from '../responders/given.ts'

test('a planted text in an answer is critical at once, and the default playbook contains who asked', () => {
  const story = attacks.find(({ name }) => name === 'a planted text leaks') ?? assert.fail('there is no such story')
  const logic = generationAbuse.start(generationAbuse.params.parse({}))
  const state = logic.initial(0)
  let asked = 0
  for (const event of eventsOf(story.asks(seeded(1)))) {
    assert(++asked <= 30, 'nothing was found')
    const [draft] = logic.onEvent(state, event)?.findings ?? []
    if (draft === undefined) continue
    assert.deepEqual(event.data.canaries, ['system'])
    const { severity, confidence, evidence } = draft
    assert.deepEqual(
      { severity, confidence, canaries: evidence['canaries'] },
      { severity: 'critical', confidence: 0.99, canaries: ['system'] },
    )
    const playbook = parsePlaybook(parse(readFileSync(new URL('../../deploy/playbooks/default.yaml', import.meta.url), 'utf8')), responders)
    const given = finding({ detector: 'generation-abuse', severity, confidence })
    const rule = choose(playbook, given, 0) ?? assert.fail('no rule applies')
    const actions = planActions(playbook, rule, given, incident({}), given.time, hash)
    assert.deepEqual(
      actions.map(({ responder }) => responder),
      ['throttle-principal', 'harden-output'],
    )
    return
  }
})
