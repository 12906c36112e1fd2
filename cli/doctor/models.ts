import { openRegistry } from '../../inference/registry.ts'
import { modelsDirOf } from '../instance/models-dir.ts'
import { type Check, type Result, reasonOf, worst } from './check.ts'

/** That the models which run here are there, and each file is what its manifest says. */
export const modelCheck: Check = {
  id: 'models',
  title: 'Models',
  deadlineMs: 120_000,
  async run({ config }) {
    const dir = modelsDirOf(config)
    const own = new Set(config.pools.filter(({ upstream }) => upstream === null).flatMap(({ models }) => models))
    try {
      const registry = await openRegistry(dir)
      const results: Result[] = []
      // One after the other: their weights may be many gigabytes.
      for (const { name, version, platform } of registry.list()) {
        if (platform === 'upstream' || !own.has(name)) continue
        const wrong = await registry.read(name, version).then(() => null, reasonOf)
        results.push(
          wrong === null
            ? { status: 'ok', found: `${name} ${version}` }
            : { status: 'fail', found: wrong, advice: 'copy the version again from where it was made' },
        )
      }
      const known = new Set(registry.list().map(({ name }) => name))
      const missing = [...own].filter((name) => !known.has(name))
      if (missing.length > 0)
        results.push({
          status: 'fail',
          found: `${dir} has no ${missing.join(', ')}`,
          advice: 'correct models of the pool, or inference.modelsDir',
        })
      return worst(results, 'none runs here')
    } catch (error) {
      return { status: 'fail', found: reasonOf(error), advice: 'correct inference.modelsDir; docs/serving.md says how the folder looks' }
    }
  },
}
