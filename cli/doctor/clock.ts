import { span } from '../output.ts'
import type { Check } from './check.ts'
import { apart } from './clock-reading.ts'

const bearableMs = 2_000

/** Of all that was reached: run it when the others are done. */
export const clockCheck: Check = {
  id: 'clock',
  title: 'Clock',
  async run({ clocks }) {
    if (clocks.size === 0) return { status: 'ok', found: 'nothing was reached whose clock could be compared with ours' }
    const off = [...clocks].filter(([, reading]) => apart(reading) > bearableMs)
    if (off.length === 0) return { status: 'ok', found: `within 2 s of ${[...clocks.keys()].join(', ')}` }
    const told = off.map(([whose, { offsetMs }]) => `${whose} is ${span(Math.abs(offsetMs))} ${offsetMs > 0 ? 'ahead of' : 'behind'} us`)
    const ours = off.length === clocks.size && off.length > 1
    return {
      status: 'warn',
      found: told.join('; '),
      advice: `${ours ? 'all differ, so it is likely our clock' : 'one of the two is wrong'}: let NTP keep it (\`timedatectl\`, \`chronyc tracking\`); leases and tokens end by the clock`,
    }
  },
}
