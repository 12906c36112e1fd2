import { environmentName, type LoadedConfig, settings } from '../config/load.ts'
import type { Check, Result } from './check.ts'

/** Of commands, not of settings. */
const others: ReadonlySet<string> = new Set(['CORDON_TOKEN', 'CORDON_KEY', 'CORDON_URL', 'CORDON_SEED'])

/** That it loads, and that no variable of the environment was meant for a setting and is none. */
export function configurationCheck(loaded: LoadedConfig | Error, environment: Readonly<Record<string, string | undefined>>): Check {
  return { id: 'configuration', title: 'Configuration', run: async () => judge(loaded, environment) }
}

function judge(loaded: LoadedConfig | Error, environment: Readonly<Record<string, string | undefined>>): Result {
  if (loaded instanceof Error) {
    return {
      status: 'fail',
      found: loaded.message.split('\n').slice(0, -1).join('; ') || loaded.message,
      advice: 'correct it; what hangs on it was not checked',
    }
  }
  const names = new Set([...settings().keys()].map(environmentName))
  const unknown = Object.keys(environment).filter((name) => /^CORDON_(?!TEST_)/.test(name) && !names.has(name) && !others.has(name))
  if (unknown.length > 0) {
    return {
      status: 'warn',
      found: `no setting has the environment variable ${unknown.slice(0, 10).join(', ')}`,
      advice: '`cordon config --show` names the variable of each setting',
    }
  }
  return { status: 'ok', found: loaded.file ?? 'no file: every setting is a default or from the environment' }
}
