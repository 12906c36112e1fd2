import { hash } from 'node:crypto'
import type { Instant } from '../schemas/index.ts'
import type { AuditEntry } from './port.ts'

/** What `prev` says in the first record of a log: 32 zero bytes. */
export const noHash = Buffer.alloc(32).toString('base64')

/** Characters of a prompt that are kept, and of any other text that a caller may choose. */
const longestPrompt = 65_536
const longestText = 256
const mostPolicies = 64

/** How a process began to write, or went on. */
export interface Opened {
  readonly at: Instant
  readonly writer: string
  /** The writer's Ed25519 key, 32 bytes as base64. */
  readonly publicKey: string
  /**
   * - `new`: nothing was there before.
   * - `continued`: after an orderly end, the same log goes on.
   * - `recovered`: the process before was killed; the same log goes on where its journal ends.
   * - `power-cut`: the machine went down with the process, so that the journal may lack what the log has: a new log.
   * - `damaged`: the journal cannot be relied on: a new log.
   */
  readonly reason: 'new' | 'continued' | 'recovered' | 'power-cut' | 'damaged'
  /** What is known of what was written before: log, records in it, hash of the last. */
  readonly after: { readonly log: string; readonly size: number; readonly head: string } | null
}

/** A new key of the writer, vouched for by the one before. */
export interface KeyChange {
  readonly at: Instant
  readonly publicKey: string
  /** Ed25519 by the key before, over {@link keyStatement}; base64. */
  readonly signature: string
}

export function keyStatement(writer: string, publicKey: string): Buffer {
  return Buffer.from(`cordon audit key\n${writer}\n${publicKey}\n`)
}

/**
 * A record as text: JSON with its fields in a fixed order, numbers and strings as RFC 8785 has them. The bytes of it (UTF-8)
 * are hashed, sent and stored as they are, so that nobody has to write it a second time to verify it. Where it stands comes
 * first and has a fixed form, for {@link readPlace}.
 */
export function encodeEntry(log: string, seq: number, prev: string, entry: AuditEntry): string {
  const kept = {
    kind: 'entry',
    id: entry.id,
    at: entry.at,
    principal: bounded(entry.principal),
    organization: boundedOrNull(entry.organization),
    keyId: boundedOrNull(entry.keyId),
    method: bounded(entry.method),
    operation: bounded(entry.operation),
    resource: bounded(entry.resource),
    version: boundedOrNull(entry.version),
    input: boundedOrNull(entry.input),
    prompt: entry.prompt === null || entry.prompt.length <= longestPrompt ? entry.prompt : entry.prompt.slice(0, longestPrompt),
    tokensIn: entry.tokensIn,
    tokensOut: entry.tokensOut,
    cost: entry.cost,
    outcome: bounded(entry.outcome),
    status: entry.status,
    hardening: bounded(entry.hardening),
    lease: boundedOrNull(entry.lease),
    policy: bounded(entry.policy),
    policies: entry.policies.length <= mostPolicies ? entry.policies : entry.policies.slice(0, mostPolicies),
    // Fields are added at the end: a record says which it has, and none is ever written anew.
    denial: entry.denial,
  }
  const text = JSON.stringify(kept)
  // Half a surrogate pair cannot be UTF-8, and readers of JSON differ over its escape.
  const isWhole = !text.includes('\\ud')
  return head(log, seq, prev) + (isWhole ? text : JSON.stringify(kept, wellFormed)).slice(1)
}

function wellFormed(_name: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed() : value
}

export function encodeOpened(log: string, seq: number, prev: string, { at, writer, publicKey, reason, after }: Opened): string {
  return head(log, seq, prev) + JSON.stringify({ kind: 'opened', at, writer, publicKey, reason, after }).slice(1)
}

export function encodeKeyChange(log: string, seq: number, prev: string, { at, publicKey, signature }: KeyChange): string {
  return head(log, seq, prev) + JSON.stringify({ kind: 'key', at, publicKey, signature }).slice(1)
}

function head(log: string, seq: number, prev: string): string {
  return `{"log":"${log}","seq":${seq},"prev":"${prev}",`
}

function bounded(text: string): string {
  return text.length <= longestText ? text : text.slice(0, longestText)
}

function boundedOrNull(text: string | null): string | null {
  return text === null ? null : bounded(text)
}

let scratch = Buffer.alloc(4_096)

/** A record between a zero byte and a newline: what is hashed is all but the last, what is written all but the first. Good until the next call. */
export function framed(line: string): Buffer {
  // Three bytes hold any UTF-16 unit.
  if (scratch.length < 2 + 3 * line.length) scratch = Buffer.alloc(2 * (2 + 3 * line.length))
  const end = 1 + scratch.write(line, 1)
  scratch[end] = 0x0a
  return scratch.subarray(0, end + 1)
}

/** Hash of a record as a leaf, RFC 9162 §2.1.1: SHA-256 of a zero byte and the record. */
export function leafHash(line: string): Buffer {
  return hashFramed(framed(line))
}

/** The same of {@link framed}. */
export function hashFramed(bytes: Buffer): Buffer {
  return hash('sha256', bytes.subarray(0, bytes.length - 1), 'buffer')
}

/** Where a record says that it stands. */
export interface RecordPlace {
  readonly log: string
  readonly seq: number
  /** Hash of the record before, base64. */
  readonly prev: string
  readonly kind: string
}

export const logForm = /^[0-9a-f]{20}$/
const place = /^\{"log":"([0-9a-f]{20})","seq":(0|[1-9]\d{0,14}),"prev":"([A-Za-z0-9+/]{43}=)","kind":"(\w{1,16})"/

/** Longest text that {@link readPlace} has to see. */
const placeBytes = 160

/** Undefined where the line is no record. */
export function readPlace(line: Buffer): RecordPlace | undefined {
  const match = place.exec(line.toString('latin1', 0, Math.min(line.length, placeBytes)))
  if (match === null) return undefined
  const [, log = '', seq = '', prev = '', kind = ''] = match
  return { log, seq: Number(seq), prev, kind }
}
