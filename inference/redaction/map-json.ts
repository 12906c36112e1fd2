import { isObject, type JsonObject } from '../json-object.ts'
import { namesIn, shapeOf } from '../json-scan.ts'

export type Write = (text: string) => string

const maxDepth = 64
/** What begins like JSON that holds more than one value. */
const structured = /^\s*[[{]/

/** Any text; where it is a JSON object or list it stays one, and what it escapes is looked at as what it stands for. */
export function mapText(text: string, write: Write): string {
  return structured.test(text) ? mapJson(text, write) : write(text)
}

/**
 * A text that is JSON, such as a call's arguments: its names, strings and numbers are looked at, and it stays JSON. Where it is
 * nested too deep, or an object has a name twice, of which parsers take different ones, it is a text like any other.
 *
 * @returns the same string where nothing changes
 */
export function mapJson(text: string, write: Write): string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return write(text)
  }
  if (namesIn(parsed, { maxDepth }) !== shapeOf(text).names) return write(text)
  const mapped = mapValue(parsed, write, (value) => numberOr(value, write))
  return mapped === parsed ? text : JSON.stringify(mapped)
}

/** Names and strings of an object that is not nested deep; numbers stay. The same object where nothing changes. */
export function mapStrings(object: JsonObject, write: Write): JsonObject {
  return mapMembers(object, write, (value) => value)
}

function mapValue(value: unknown, write: Write, ofNumber: (value: number) => unknown): unknown {
  if (typeof value === 'string') return write(value)
  if (typeof value === 'number') return ofNumber(value)
  if (isObject(value)) return mapMembers(value, write, ofNumber)
  if (!Array.isArray(value)) return value
  const mapped = value.map((one) => mapValue(one, write, ofNumber))
  return mapped.some((one, i) => one !== value[i]) ? mapped : value
}

function mapMembers(object: JsonObject, write: Write, ofNumber: (value: number) => unknown): JsonObject {
  let changed = false
  const entries = Object.entries(object).map(([name, value]) => {
    const mapped = [write(name), mapValue(value, write, ofNumber)] as const
    changed ||= mapped[0] !== name || mapped[1] !== value
    return mapped
  })
  return changed ? Object.fromEntries(entries) : object
}

/** A card's number may be written as one. */
function numberOr(value: number, write: Write): unknown {
  const text = String(value)
  const written = text.length < 7 ? text : write(text)
  return written === text ? value : written
}
