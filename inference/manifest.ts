import { z } from 'zod'
import { Name, Unit } from '../schemas/index.ts'

const Datatype = z.enum([
  ...(['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64', 'FP16', 'FP32', 'FP64', 'BYTES'] as const),
])

/** Bounds of a tensor's values, inclusive. */
const Range = z.tuple([z.number(), z.number()]).refine(([low, high]) => low < high, 'a range goes from low to high')

/** -1, the batch, then the item's dimensions; -1 among those is free. */
const Shape = z.tuple([z.literal(-1)], z.union([z.literal(-1), z.int().min(1).max(65_536)])).refine((shape) => shape.length <= 6)

const Tensor = z.object({ name: z.string().min(1).max(64), datatype: Datatype, shape: Shape, range: Range.optional() })

const Tensors = z
  .array(Tensor)
  .min(1)
  .max(16)
  .refine((tensors) => new Set(tensors.map(({ name }) => name)).size === tensors.length, 'two tensors have one name')

/** A plain file name in the version's own folder: no separators, so nothing outside it can be named. */
const FileName = z
  .string()
  .max(128)
  .regex(/^[a-z0-9][a-z0-9._-]*$/)

/** As a SavedModel lies on disk: its own files, and those of `variables/` and `assets/`. */
const SavedFileName = z
  .string()
  .max(160)
  .regex(/^((variables|assets)\/)?[A-Za-z0-9][A-Za-z0-9._-]*$/)

const contents = {
  /** At most 256 MiB: a file is read into memory whole. */
  bytes: z
    .int()
    .min(1)
    .max(2 ** 28),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
}

const ModelFile = z.object({ path: FileName, ...contents })
export type ModelFile = z.infer<typeof ModelFile>

/** The reference profile of a version's ordinary traffic; a version without one is served unwatched. */
const profile = { profile: ModelFile.optional() }

const about = {
  name: Name,
  version: Name,
  inputs: Tensors,
  outputs: Tensors,
  /** Bounds of the values of every input that declares none of its own. */
  range: Range.optional(),
  /** Names of the classes of the first output; none where it is no classifier. */
  labels: z.array(z.string().max(64)).max(65_536).default([]),
  accuracy: z.object({ set: z.string().max(128), items: z.int().min(1), top1: Unit }).optional(),
  /** Settings that the training used, for people. */
  training: z.record(z.string().max(64), z.union([z.number(), z.string().max(256), z.array(z.number()).max(16)])).optional(),
}

export const LayersManifest = z.object({
  ...about,
  /** tfjs layers format with one weight file; a language model is one that is asked for text, not for tensors. */
  platform: z.enum(['tfjs-layers', 'cordon-language']),
  files: z.object({ topology: ModelFile, weights: ModelFile, ...profile }),
})
export type LayersManifest = z.infer<typeof LayersManifest>

/**
 * `manifest.json` in a version's folder: what the model is, what its files must hash to, how it came to be. `files` names
 * every file of the version but this one.
 */
export const Manifest = z.discriminatedUnion('platform', [
  LayersManifest,
  z.object({
    ...about,
    platform: z.literal('tfjs-graph'),
    /** tfjs graph format; the weight files in the order of the topology's weights manifest. */
    files: z.object({ topology: ModelFile, weights: z.array(ModelFile).min(1).max(1_024), ...profile }),
  }),
  z.object({
    ...about,
    platform: z.literal('tensorflow-savedmodel'),
    /** Default the signature that TensorFlow serves by default. */
    signature: z.string().min(1).max(128).default('serving_default'),
    files: z.object({
      saved: z
        .array(z.object({ path: SavedFileName, ...contents }))
        .min(1)
        .max(1_024)
        .refine((files) => files.some(({ path }) => path === 'saved_model.pb'), 'saved_model.pb is missing'),
      ...profile,
    }),
  }),
  z.object({
    ...about,
    /** Runs elsewhere: says what its inputs and answers are, so that they can be checked and watched here. */
    platform: z.literal('upstream'),
    files: z.object(profile).default({}),
  }),
])
export type Manifest = z.infer<typeof Manifest>
