import { after, before, describe } from 'node:test'
import { consumingContract } from './bus/consuming.ts'
import { followingContract } from './bus/following.ts'
import { logContract, topicsContract } from './bus/log.ts'
import { type BusFixture, Suite } from './bus/suite.ts'

/** What every adapter promises. `factory` makes one empty log for the whole suite. */
export function busContract(name: string, factory: () => Promise<BusFixture>): void {
  describe(`bus contract: ${name}`, () => {
    let suite: Suite
    before(async () => {
      suite = await Suite.open(await factory())
    })
    after(() => suite.close())
    const open = (): Suite => suite
    logContract(open)
    topicsContract(open)
    consumingContract(open)
    followingContract(open)
  })
}
