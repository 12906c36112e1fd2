import type { Command } from 'commander'
import type { CaseResult, Question } from '../../policy/cases.ts'
import type { Policy } from '../../policy/policy-set.ts'
import type { PolicyContext, PolicyDecision, PolicyEngine } from '../../policy/port.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { openOpa } from '../instance/policy.ts'
import { type Column, type Output, openOutput } from '../output.ts'
import { parseParams } from '../params.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}

interface Asked extends Flags {
  readonly principal: string
  readonly organization?: string
  readonly role: readonly string[]
  readonly method: string
  readonly action: string
  readonly model: string
  readonly context: readonly string[]
}

/** A decision, with the text of who decided. */
interface Explained extends Pick<PolicyDecision, 'allowed' | 'version' | 'errors'> {
  readonly engine: string
  readonly policies: readonly (Pick<Policy, 'id'> & Partial<Policy>)[]
  readonly context: PolicyContext
}

type Write = (line: string) => void

/** @param write takes what is printed; default standard output */
export function policyCommand(policy: Command, write: Write = (line) => process.stdout.write(`${line}\n`)): void {
  const outputOf = ({ json }: Flags) => openOutput(json === true, write)
  const command = (usage: string, description: string) =>
    policy
      .command(usage)
      .description(description)
      .option('--config <file>', 'configuration file (default: cordon.config.yaml where there is one)')
      .option('--json', 'print JSON: one object a line')
  command('validate [dir]', 'hold the Cedar policies of a folder against the schema; status 1 where they are not valid').action(
    (dir: string | undefined, flags: Flags) => validate(dir, flags, outputOf(flags)),
  )
  command('test [dir]', 'decide the cases in *.tests.json beside the policies; status 1 where one is decided otherwise').action(
    (dir: string | undefined, flags: Flags) => test(dir, flags, outputOf(flags)),
  )
  const collect = (value: string, before: readonly string[]) => [...before, value]
  command('explain', 'who would decide what, and why; status 1 where it is denied')
    .requiredOption('--principal <name>', 'who asks')
    .requiredOption('--model <name>', 'which model, or what an administrative action is about')
    .option('--action <action>', 'infer, chat, completion, embedding, promote, rotate-key, …', 'infer')
    .option('--organization <name>', 'of the principal')
    .option('--role <name>', 'of the principal; may be repeated', collect, [])
    .option('--method <method>', 'how it proved who it is: key, oidc, token or certificate', 'key')
    .option('--context <name=value>', 'a circumstance, such as risk=0.9, hour=3, address=192.0.2.1; may be repeated', collect, [])
    .action((flags: Asked) => explain(flags, outputOf(flags)))
}

async function validate(dir: string | undefined, flags: Flags, output: Output): Promise<void> {
  const { defaultFolder, readPolicies } = await import('../../policy/directory.ts')
  const { describeProblem, parsePolicies } = await import('../../policy/policy-set.ts')
  const files = readPolicies(dir ?? configOf(flags).policy.dir ?? defaultFolder)
  const parsed = parsePolicies(files)
  const said = [
    ...(parsed.ok ? [] : parsed.problems.map((problem) => ({ severity: 'error', ...problem }))),
    ...(parsed.ok ? parsed.set.warnings.map((problem) => ({ severity: 'warning', ...problem })) : []),
  ]
  for (const problem of said) output.one(problem, `${problem.severity}: ${describeProblem(problem)}`)
  if (!parsed.ok) {
    process.exitCode = 1
    return
  }
  const { version, policies } = parsed.set
  const told = { valid: true, version, policies: policies.size, files: files.map(({ name }) => name) }
  output.one(told, `${policies.size} policies in ${files.length} files are valid; version ${version}`)
}

const columns: readonly Column[] = [
  { title: 'CASE', of: (r: CaseResult) => r.name },
  { title: 'DECISION', of: (r: CaseResult) => (r.allowed ? 'allowed' : 'denied') },
  { title: 'BY', of: (r: CaseResult) => r.policies.join(', ') || '–' },
  { title: 'RESULT', of: (r: CaseResult) => (r.ok ? 'ok' : `FAILED: ${r.reason}`) },
]

async function test(dir: string | undefined, flags: Flags, output: Output): Promise<void> {
  const config = configOf(flags)
  const { runCases } = await import('../../policy/cases.ts')
  const { defaultFolder, filesOf } = await import('../../policy/directory.ts')
  const files = filesOf(dir ?? config.policy.dir ?? defaultFolder, '.tests.json')
  if (files.length === 0) throw new CliError('USAGE', `there is no *.tests.json in ${dir ?? config.policy.dir ?? defaultFolder}`)
  const results = await asking(config, dir, ({ engine }) => runCases(engine, files))
  if (results.some(({ ok }) => !ok)) process.exitCode = 1
  output.list(results, columns, 'no cases')
}

async function explain(flags: Asked, output: Output): Promise<void> {
  const config = configOf(flags)
  const { requestOf } = await import('../../policy/cases.ts')
  const request = requestOf(await questionOf(flags, config))
  const explained = await asking(config, undefined, async ({ engine, policies }): Promise<Explained> => {
    const { allowed, version, errors, policies: ids } = await engine.decide(request)
    const deciding = ids.map((id) => policies.get(id) ?? { id })
    return { allowed, version, errors, engine: config.policy.engine, policies: deciding.map(shown), context: request.context }
  })
  if (!explained.allowed) process.exitCode = 1
  output.one(explained, describe(flags, explained))
}

/** Without what is the parser's own. */
function shown({ id, effect, file, line, text }: Pick<Policy, 'id'> & Partial<Policy>): Explained['policies'][number] {
  return effect === undefined || file === undefined || line === undefined || text === undefined ? { id } : { id, effect, file, line, text }
}

function describe({ principal, action, model }: Asked, { allowed, engine, version, policies, errors, context }: Explained): string {
  const circumstances = Object.entries(context).filter(([name]) => name !== 'now')
  const whose = version === '' ? engine : `${engine}, version ${version}`
  return [
    `${allowed ? 'ALLOWED' : 'DENIED'}: ${principal} ${action} ${model} (${whose})`,
    ...errors.map((error) => `could not be decided: ${error}`),
    ...(policies.length === 0 && errors.length === 0 && !allowed ? ['no policy permits it'] : []),
    ...policies.map(({ id, file, line, text }) => (text === undefined ? `\nby ${id}` : `\nby ${id} (${file}:${line})\n${indented(text)}`)),
    `\nwith ${circumstances.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(' ')}`,
  ].join('\n')
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
}

/** What the flags say, with the labels of the model from the configuration, and the country of the address. */
async function questionOf(flags: Asked, config: Config): Promise<Question> {
  const { Question } = await import('../../policy/cases.ts')
  const { principal, organization = null, role: roles, method, action, model: resource } = flags
  const labels = Object.hasOwn(config.models, resource) ? config.models[resource]?.labels : undefined
  const context: Record<string, unknown> = { ...labels, ...parseParams(flags.context) }
  const { countryDatabase } = config.policy
  if (countryDatabase !== null && context['country'] === undefined && typeof context['address'] === 'string') {
    const { openCountries } = await import('../../policy/countries.ts')
    context['country'] = (await openCountries(countryDatabase))(context['address'])
  }
  const question = Question.safeParse({ principal, organization, roles, method, action, resource, context })
  if (question.success) return question.data
  const [issue] = question.error.issues
  throw new CliError('USAGE', `--${issue?.path.join(' ')}: ${issue?.message}`)
}

/** Asks the engine that is configured, and closes it. */
async function asking<T>(
  config: Config,
  dir: string | undefined,
  ask: (opened: { engine: PolicyEngine; policies: ReadonlyMap<string, Policy> }) => Promise<T>,
): Promise<T> {
  if (config.policy.engine === 'none') throw new CliError('USAGE', 'policy.engine is none: whoever has a credential may')
  if (config.policy.engine === 'opa') {
    const engine = await openOpa({ config, clock: Date.now })
    return ask({ engine, policies: new Map() }).finally(() => engine.close())
  }
  const { CedarEngine } = await import('../../policy/cedar.ts')
  const { policySetOf } = await import('../../policy/policy-set.ts')
  const { defaultFolder, readPolicies } = await import('../../policy/directory.ts')
  const set = policySetOf(readPolicies(dir ?? config.policy.dir ?? defaultFolder))
  return ask({ engine: new CedarEngine(set), policies: set.policies })
}

function configOf({ config: file }: Flags): Config {
  return loadConfig({ file, environment: process.env, flags: new Map() }).config
}
