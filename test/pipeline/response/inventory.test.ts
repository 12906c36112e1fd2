import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { watchInventory } from '../../../pipeline/response/inventory.ts'
import { hour, start } from '../../responders/given.ts'
import { Given, log } from '../response-given.ts'
import { until } from '../until.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
})
afterEach(() => given.close())

const pools = () => new Map([['a', ['digits']]])
const requests = (...names: string[]) =>
  given.bus.publish(names.map((key) => ({ topic: 'requests', key, value: Buffer.from('{}'), headers: {}, timestamp: start })))

describe('the inventory', () => {
  it('counts who sent a request in the last hour, once each, and nobody without a key', async () => {
    const watch = await watchInventory({ bus: given.bus, clock: () => given.now, log, pools })
    await requests('a', 'b', 'a', 'anonymous')
    await until('two principals', () => watch.current().activePrincipals === 2)
    given.now = start + hour / 2
    await requests('c')
    await until('three principals', () => watch.current().activePrincipals === 3)
    given.now = start + hour + 1
    assert.equal(watch.current().activePrincipals, 1)
    assert.deepEqual([...watch.current().pools], [['a', ['digits']]])
    await watch.close()
  })

  it('is bounded', async () => {
    const watch = await watchInventory({ bus: given.bus, clock: () => given.now, log, pools, maxPrincipals: 3 })
    await requests(...Array.from({ length: 50 }, (_, i) => `p${i}`))
    await until('three principals', () => watch.current().activePrincipals === 3)
    await watch.close()
  })
})
