import type { Check, Result } from './check.ts'
import { reasonOf } from './check.ts'
import { reach } from './reach.ts'

/** That what decides whether a caller may is there, and can be understood. */
export const policyCheck: Check = {
  id: 'policies',
  title: 'Policies',
  async run(context) {
    const { engine, dir, opa } = context.config.policy
    if (engine === 'none') return { status: 'ok', found: 'none: a credential may do whatever it is for' }
    if (engine === 'cedar') return judgeCedar(dir)
    const advice = 'start the agent, or correct policy.opa.url: while it is away nobody is let through'
    try {
      const { status } = await reach(`${opa.url.replace(/\/$/, '')}/health`, context, { clockOf: 'policy agent' })
      return status === 200
        ? { status: 'ok', found: `${opa.url} answers` }
        : { status: 'fail', found: `${opa.url}/health answers ${status}`, advice }
    } catch (error) {
      return { status: 'fail', found: `${opa.url}: ${reasonOf(error)}`, advice }
    }
  },
}

/** Cedar is four megabytes of WebAssembly: whoever does not decide by it does not load it. */
async function judgeCedar(dir: string | null): Promise<Result> {
  const { parsePolicies } = await import('../../policy/policy-set.ts')
  const { defaultFolder, readPolicies } = await import('../../policy/directory.ts')
  const folder = dir ?? defaultFolder
  const advice = '`cordon policy validate` says more; with policies that are not valid neither node nor console starts'
  try {
    const files = readPolicies(folder)
    const parsed = parsePolicies(files)
    if (!parsed.ok) return { status: 'fail', found: parsed.problems.slice(0, 10).map(told).join('; '), advice }
    const { policies, warnings, version } = parsed.set
    if (warnings.length > 0) return { status: 'warn', found: warnings.slice(0, 10).map(told).join('; '), advice }
    return { status: 'ok', found: `${policies.size} policies, version ${version}` }
  } catch (error) {
    return { status: 'fail', found: reasonOf(error), advice: 'correct policy.dir' }
  }
}

function told({ file, line, message }: { readonly file: string; readonly line: number; readonly message: string }): string {
  return file === '' ? message : `${file}:${line}: ${message}`
}
