import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { DataOf } from '../../schemas/index.ts'
import type { Store } from '../../store/index.ts'
import type { StoreFactory } from '../contracts/store.ts'
import { request, Story, second, start } from './story.ts'

const chat: DataOf<'request'> = {
  ...request,
  ...{ model: 'prose', operation: 'chat', streamed: true, tokensIn: 100, tokensOut: 20, tokenCount: 'reported', firstTokenMs: 20 },
  ...{ cost: 0.2, finishReasons: ['stop'], endpoint: 'gpu-1', configuration: 'cafe' },
  sampling: { temperature: 1, topP: null, maxTokens: 64, choices: 1, topLogprobs: 0 },
}

/** Alice asks four times and leaves once; Bob asks once for two answers; one of Alice's requests is for a tensor model. */
function tell(): Story {
  const story = new Story()
  story.tell('request', start, chat, 'g1')
  story.tell('request', start + second, { ...chat, firstTokenMs: 40, toolCalls: 2, finishReasons: ['tool_calls'] }, 'g2')
  story.tell('request', start + 2 * second, { ...chat, firstTokenMs: 60, tokenCount: 'estimated', endpoint: 'gpu-2' }, 'g3')
  const left: Partial<DataOf<'request'>> = { outcome: 'aborted', status: 499, tokensOut: 5, firstTokenMs: null, finishReasons: [] }
  story.tell('request', start + 3 * second, { ...chat, ...left }, 'g4')
  const sampling = { temperature: 0, topP: null, maxTokens: null, choices: 2, topLogprobs: 5 }
  const both = { streamed: false, firstTokenMs: null, finishReasons: ['stop', 'length'], sampling }
  story.tell('request', start + 4 * second, { ...chat, ...both, principal: 'bob', operation: 'completion', cost: 3 }, 'g5')
  story.tell('request', start + 5 * second, request, 'i1')
  return story
}

/** What the library answers about language models, on any engine. Needs a store of its own. */
export function generationContract(name: string, factory: StoreFactory): void {
  describe(`generations on ${name}`, () => {
    let store: Store
    let close: () => Promise<void>
    before(async () => {
      ;({ store, close } = await factory())
      await store.migrate()
      await tell().store(store)
    })
    after(() => close())

    const ask = async (query: string, params: Record<string, unknown>, columns: readonly string[]) => {
      const { rows } = await store.query(query, params)
      return rows.map((row) => columns.map((column) => row[column]))
    }

    it('generations: requests, tokens and how they ended, by model and principal', async () => {
      const columns = ['model', 'principal', 'requests', 'served', 'abortedShare', 'streams', 'tokensIn', 'tokensOut', 'estimated']
      // 20 + 20 + 20 + 5 tokens of answers.
      assert.deepEqual(await ask('generations', {}, columns), [
        ['prose', 'alice', 4, 3, 0.25, 4, 400, 65, 1],
        ['prose', 'bob', 1, 1, 0, 0, 100, 20, 0],
      ])
      const more = ['finished', 'toolCalls', 'topLogprobs', 'choices', 'endpoints', 'firstTokenP50Ms', 'firstTokenP95Ms']
      assert.deepEqual(await ask('generations', { model: 'prose' }, more), [
        ['stop 2, tool_calls 1', 2, 0, 1, 2, 40, 60],
        ['length 1, stop 1', 0, 5, 2, 1, null, null],
      ])
      assert.deepEqual(await ask('generations', { principal: 'alice', since: start + 3 * second }, ['requests', 'tokensOut']), [[1, 5]])
      assert.deepEqual(await ask('generations', { model: 'digits' }, ['requests']), [])
    })

    it('principal-activity: tokens and how the answer ended, where a language model was asked', async () => {
      assert.deepEqual(await ask('principal-activity', { principal: 'alice' }, ['outcome', 'detail']), [
        ['served', 'status 200, chat streamed, 100 tokens in, 20 out, stop'],
        ['served', 'status 200, chat streamed, 100 tokens in, 20 out, tool_calls'],
        ['served', 'status 200, chat streamed, 100 tokens in, 20 out, stop'],
        ['aborted', 'status 499, chat streamed, 100 tokens in, 5 out'],
        ['served', 'status 200, 1 items'],
      ])
    })

    it('cost: tokens of answers that nobody waited for are in it, and how many counts are estimates', async () => {
      assert.deepEqual(
        await ask('cost', { by: 'model' }, ['subject', 'requests', 'served', 'tokensIn', 'tokensOut', 'estimated', 'cost']),
        [
          ['prose', 5, 4, 500, 85, 1, 3.8],
          ['digits', 1, 1, 10, 2, 0, 0.5],
        ],
      )
    })
  })
}
