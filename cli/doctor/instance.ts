import type { Check } from './check.ts'

/** Whether an instance of this data directory runs, and how its roles are. */
export const instanceCheck: Check = {
  id: 'instance',
  title: 'Instance',
  async run({ config, running }) {
    const found = await running()
    if (found === null) return { status: 'ok', found: `none runs on ${config.dataDir}: \`cordon start\` starts one` }
    const { pid, roles, console } = found
    if (roles === null)
      return { status: 'warn', found: `process ${pid} lives, and its console at ${console} does not answer`, advice: 'read its log' }
    const ill = roles.filter(({ ok }) => !ok)
    if (ill.length === 0) return { status: 'ok', found: `process ${pid} runs, and all of its roles are well` }
    return {
      status: 'fail',
      found: `process ${pid} runs; ${ill.map(({ role, summary }) => `${role}: ${summary}`).join('; ')}`,
      advice: '`cordon status` says more',
    }
  },
}
