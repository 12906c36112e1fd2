import { statSync } from 'node:fs'

/** What the command line asks for. Where it asks for help, or `read` throws, says so and ends the process: with 0 or 2. */
export function fromCommandLine<T>(usage: string, read: () => T): T {
  if (process.argv.includes('--help')) {
    console.log(usage)
    process.exit(0)
  }
  try {
    return read()
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    console.error(`${error.message}\n\n${usage}`)
    process.exit(2)
  }
}

/** @throws RangeError */
export function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text)
  if (found === undefined) throw new RangeError(`--${option}: there is no ${JSON.stringify(text)}; there are ${known.join(', ')}`)
  return found
}

/** @throws RangeError */
export function count(option: string, text: string, least: number): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least) throw new RangeError(`--${option}: give a whole number of at least ${least}`)
  return value
}

/** @throws RangeError */
export function folder(option: string, text: string): string {
  if (statSync(text, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new RangeError(`--${option}: there is no folder ${JSON.stringify(text)}`)
  return text
}
