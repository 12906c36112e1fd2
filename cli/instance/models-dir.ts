import { fileURLToPath } from 'node:url'
import type { Config } from '../config/schema.ts'

/** The folder of models that is configured, or that of the built-in ones. */
export function modelsDirOf({ inference }: Config): string {
  return inference.modelsDir ?? fileURLToPath(new URL('../../inference/models/', import.meta.url))
}
