import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { type DetailedError, policyToJson, type ValidationAnswer, validate } from '@cedar-policy/cedar-wasm/nodejs'
import { PolicyError } from './errors.ts'
import { placeOf, statementsOf } from './text.ts'

/** Policies as they are written, or their text from elsewhere. */
export interface PolicyFile {
  /** For people: a path, or any other name. */
  readonly name: string
  readonly text: string
}

export interface Policy {
  /** Of its annotation `@id("…")`; without one, its file's name and line. */
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly file: string
  readonly line: number
  readonly text: string
}

/** Policies that are well formed and fit the schema. */
export interface PolicySet {
  /** First 16 hex digits of the SHA-256 of the schema and of the files, wherever they lie. */
  readonly version: string
  readonly policies: ReadonlyMap<string, Policy>
  /** What is not wrong, and likely not meant. */
  readonly warnings: readonly Problem[]
}

export interface Problem {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly policy: string | null
  readonly message: string
}

export type Parsed = { readonly ok: true; readonly set: PolicySet } | { readonly ok: false; readonly problems: readonly Problem[] }

const maxPolicies = 4_096
const longestId = 128

/** What policies can see, in Cedar's schema language. */
export const schemaText = readFileSync(new URL('../deploy/policies/cordon.cedarschema', import.meta.url), 'utf8')

/** Where a policy stands, with what problems are told by. */
interface Placed extends Policy {
  readonly source: PolicyFile
  readonly start: number
}

/** Reads policies, and holds them against the schema. Pure. */
export function parsePolicies(files: readonly PolicyFile[]): Parsed {
  const problems: Problem[] = []
  const policies = new Map<string, Placed>()
  for (const policy of files.flatMap((file) => placedOf(file, problems))) {
    const other = policies.get(policy.id)
    if (other === undefined) policies.set(policy.id, policy)
    else problems.push(problemOf(policy, 0, `its id is also that of ${other.file}:${other.line}; ids are told apart in decisions`))
  }
  if (policies.size === 0 && problems.length === 0) {
    problems.push({
      file: files[0]?.name ?? '',
      line: 1,
      column: 1,
      policy: null,
      message: 'there is no policy, and then nobody may anything',
    })
  }
  if (policies.size > maxPolicies) {
    const [first] = policies.values()
    if (first !== undefined) problems.push(problemOf(first, 0, `there are ${policies.size} policies; at most ${maxPolicies} are taken`))
  }
  if (problems.length > 0) return { ok: false, problems }
  const { errors, warnings } = validated(policies)
  if (errors.length > 0) return { ok: false, problems: errors }
  return { ok: true, set: { version: versionOf(files), policies, warnings } }
}

/** @throws PolicyError `POLICIES_INVALID`, whose message has every place, one a line */
export function policySetOf(files: readonly PolicyFile[]): PolicySet {
  const parsed = parsePolicies(files)
  if (parsed.ok) return parsed.set
  throw new PolicyError('POLICIES_INVALID', `the policies are not valid:\n${parsed.problems.map(describeProblem).join('\n')}`)
}

/** `file:line:column: message`, as compilers write it. */
export function describeProblem({ file, line, column, policy, message }: Problem): string {
  return `${file}:${line}:${column}: ${policy === null ? '' : `${policy}: `}${message}`
}

export function versionOf(files: readonly PolicyFile[]): string {
  const hash = createHash('sha256').update(JSON.stringify(schemaText))
  for (const { name, text } of files) hash.update(JSON.stringify([basename(name), text]))
  return hash.digest('hex').slice(0, 16)
}

function placedOf(source: PolicyFile, problems: Problem[]): readonly Placed[] {
  return statementsOf(source.text).flatMap(({ text, start }) => {
    const { line, column } = placeOf(source.text, start)
    const answer = policyToJson(text)
    const place = { file: source.name, line, text, start, source }
    if (answer.type === 'failure') {
      for (const error of answer.errors) problems.push(problemOf({ ...place, id: null }, offsetOf(error), messageOf(error)))
      return []
    }
    const { effect, annotations = {} } = answer.json
    const id = annotations['id'] ?? `${basename(source.name)}:${line}${column === 1 ? '' : `:${column}`}`
    const policy = { ...place, id, effect }
    if (id !== '' && id.length <= longestId) return [policy]
    problems.push(problemOf(policy, 0, `its id has ${id.length} characters; it takes 1 to ${longestId}`))
    return []
  })
}

function validated(policies: ReadonlyMap<string, Placed>): { errors: readonly Problem[]; warnings: readonly Problem[] } {
  const staticPolicies = Object.fromEntries([...policies].map(([id, { text }]) => [id, text]))
  const answer: ValidationAnswer = validate({ schema: schemaText, policies: { staticPolicies } })
  if (answer.type === 'failure') {
    const [first] = policies.values()
    return { errors: answer.errors.flatMap((error) => (first === undefined ? [] : [problemOf(first, 0, messageOf(error))])), warnings: [] }
  }
  const problems = (found: typeof answer.validationErrors) =>
    found.flatMap(({ policyId, error }) => {
      const policy = policies.get(policyId)
      return policy === undefined ? [] : [problemOf(policy, offsetOf(error), messageOf(error))]
    })
  return { errors: problems(answer.validationErrors), warnings: problems(answer.validationWarnings) }
}

/** @param offset bytes into the policy */
function problemOf(policy: Pick<Placed, 'source' | 'start'> & { readonly id: string | null }, offset: number, message: string): Problem {
  const { source, start, id } = policy
  return { file: source.name, ...placeOf(source.text, start + offset), policy: id, message }
}

function offsetOf({ sourceLocations = [] }: DetailedError): number {
  return sourceLocations[0]?.start ?? 0
}

/** Cedar says what it expected beside the place, and how to mend it apart. */
function messageOf({ message, help, sourceLocations = [] }: DetailedError): string {
  const label = sourceLocations[0]?.label
  const plain = message.replace(/^for policy `[^`]*`, /, '').replace(/^failed to parse policy from string: /, '')
  return [plain, label, help].filter((part) => part !== null && part !== undefined).join('; ')
}
