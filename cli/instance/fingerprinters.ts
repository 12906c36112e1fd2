import type { Logger } from 'pino'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprinter, ModelInfo } from '../../inference/port.ts'
import { openRegistry } from '../../inference/registry.ts'
import type { NodeSecrets } from './secrets.ts'

/** One fingerprinter for each model version that has a reference profile; the others are served unwatched, which is said. */
export async function openFingerprinters(
  modelsDir: string,
  models: readonly ModelInfo[],
  secrets: NodeSecrets,
  log: Logger,
): Promise<(model: string, version: string) => Fingerprinter | undefined> {
  const registry = await openRegistry(modelsDir)
  const opened = new Map<string, Fingerprinter>()
  for (const { name, version } of models) {
    const { profile } = await registry.read(name, version)
    if (profile === null) log.warn({ model: name, version }, 'no reference profile: probing and extraction of this version cannot be seen')
    else opened.set(`${name}/${version}`, openFingerprinter({ profile, key: secrets.fingerprintKey, epoch: secrets.fingerprintEpoch }))
  }
  return (model, version) => opened.get(`${model}/${version}`)
}
