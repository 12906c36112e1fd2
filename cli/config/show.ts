import { environmentName, type LoadedConfig, settings } from './load.ts'

export interface ShownSetting {
  readonly setting: string
  readonly value: unknown
  readonly source: string
  readonly from: string
  readonly environment: string
}

const secret = /(^|\.)password$/

/** What is in force and where each value came from; secrets are masked. */
export function shownSettings(loaded: LoadedConfig): readonly ShownSetting[] {
  return [...settings().keys()].map((setting) => {
    const value = valueAt(loaded.config, setting)
    const origin = originOf(loaded, setting)
    return {
      setting,
      value: masked(setting, value),
      source: origin.source,
      from: origin.detail,
      environment: environmentName(setting),
    }
  })
}

/** A password has a setting of its own, and some write it into the address all the same. */
function masked(setting: string, value: unknown): unknown {
  if (secret.test(setting) && value !== null) return '********'
  // A collector's headers are how one logs in to it.
  if (setting === 'telemetry.otlpHeaders') return Object.fromEntries(Object.keys(value as object).map((name) => [name, '********']))
  return typeof value === 'string' ? value.replace(/^(\w+:\/\/[^/?#]*?:)[^/?#]*@/, '$1********@') : value
}

function originOf(loaded: LoadedConfig, setting: string): { source: string; detail: string } {
  const exact = loaded.sources.get(setting)
  if (exact !== undefined) return exact
  for (const [path, origin] of loaded.sources) if (path.startsWith(`${setting}.`)) return origin
  return { source: 'default', detail: '' }
}

function valueAt(config: unknown, path: string): unknown {
  let at = config
  for (const part of path.split('.')) at = (at as Record<string, unknown>)[part]
  return at
}
