import { z } from 'zod'
import { Name, Unit } from '../schemas/index.ts'

const Tensor = z.object({
  name: z.string().min(1).max(64),
  datatype: z.literal('FP32'),
  /** -1, the batch, then the item's dimensions. */
  shape: z.tuple([z.literal(-1)], z.int().min(1).max(65_536)).refine((shape) => shape.length >= 2 && shape.length <= 5),
})

/** A plain file name in the version's own folder: no separators, so nothing outside it can be named. */
const FileName = z
  .string()
  .max(128)
  .regex(/^[a-z0-9][a-z0-9._-]*$/)

const ModelFile = z.object({
  path: FileName,
  /** At most 256 MiB: a file is read into memory whole. */
  bytes: z
    .int()
    .min(1)
    .max(2 ** 28),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})
export type ModelFile = z.infer<typeof ModelFile>

/** `manifest.json` in a version's folder: what the model is, what its files must hash to, how it came to be. */
export const Manifest = z.object({
  name: Name,
  version: Name,
  platform: z.literal('tfjs-layers'),
  inputs: z.tuple([Tensor]),
  outputs: z.tuple([Tensor]),
  /** Bounds of the input's values, inclusive. */
  range: z.tuple([z.number(), z.number()]).refine(([low, high]) => low < high),
  labels: z.array(z.string().max(64)).min(2).max(65_536),
  /**
   * Every file of the version but this one. `topology` is tfjs layers format, `weights` its only weight file, `profile` the
   * reference profile of its ordinary traffic; a version without one is served unwatched.
   */
  files: z.object({ topology: ModelFile, weights: ModelFile, profile: ModelFile.optional() }),
  accuracy: z.object({ set: z.string().max(128), items: z.int().min(1), top1: Unit }),
  /** Settings that `npm run train` used, for people. */
  training: z.record(z.string().max(64), z.union([z.number(), z.string().max(256), z.array(z.number()).max(16)])),
})
export type Manifest = z.infer<typeof Manifest>
