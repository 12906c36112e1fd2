import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { AccountError } from '../../access/account-errors.ts'
import { loadConfig } from '../config/load.ts'
import { CliError } from '../errors.ts'
import { interview } from '../init/interview.ts'
import { providers } from '../init/issuer.ts'
import { type Made, makeInstance } from '../init/make.ts'
import { type InitFlags, planOf } from '../init/plan.ts'
import { Questions } from '../init/questions.ts'
import { openAccounts } from '../instance/accounts.ts'

type Flags = InitFlags & { readonly yes?: boolean; readonly force?: boolean; readonly json?: boolean }

export function initCommand(init: Command): void {
  init
    .option('--yes', 'ask nothing: what no flag says takes its default')
    .option('--admin <name>', 'name of the first administrator (default admin)')
    .option('--issuer <url>', 'issuer of JWT bearers, exactly as `iss` has it (default: API keys alone)')
    .option('--audience <aud>', 'what `aud` of its tokens names')
    .addOption(new Option('--alias <provider>', 'whose issuer it is (default: by its address)').choices(providers))
    .option('--model <name>', 'model that is served (default: digits and language, which are built in)')
    .option('--models-dir <dir>', 'folder of models that run here')
    .option('--upstream <url>', 'server that runs the model, in place of --models-dir')
    .addOption(new Option('--protocol <protocol>', 'what --upstream speaks').choices(['oip', 'openai']))
    .option('--limit <requests/time>', 'what each principal may ask for, as 1000/1h; none for no limit (default 1000/1h)')
    .option('--port <n>', 'port of the inference node (default 8080)')
    .option('--console-port <n>', 'port of the console (default 8090)')
    .option('--kafka <brokers>', 'host:port of Kafka brokers, with commas between (default: a log in this process)')
    .option('--clickhouse <url>', 'address of a ClickHouse server (default: a store in this process)')
    .option('--force', 'overwrite a configuration and policies that are there')
    .option('--json', "print one line of JSON: what was made, the administrator's token and second factor among it")
    .action(async (dir: string | undefined, flags: Flags) => {
      const folder = resolve(dir ?? '.')
      if (flags.yes === true) return show(makeInstance(folder, planOf(flags), Date.now(), flags.force === true), dir, flags)
      // On standard error: standard output may be piped.
      const questions = new Questions(process.stdin, process.stderr, process.stdin.isTTY && process.stderr.isTTY)
      try {
        const said = await interview(questions, flags)
        const made = makeInstance(folder, planOf(said), Date.now(), flags.force === true)
        show(made, dir, flags)
        if (flags.json !== true && made.administrator.token !== null) await confirm(questions, made, folder)
      } finally {
        questions.close()
      }
    })
}

function show({ file, policies, administrator }: Made, dir: string | undefined, { json }: Flags): void {
  const next = nextOf(dir)
  if (json === true) return print(JSON.stringify({ file, policies, administrator, next }))
  const { name, token, otpauth, secret } = administrator
  const account =
    token === null
      ? [`account     ${name} was there before, and is as it was`]
      : [
          `account     ${name}, for administration and promotion; its token, shown this once:`,
          '',
          token,
          '',
          'second factor, shown this once: add it to an authenticator (as a QR code, or the secret by hand)',
          '',
          `${otpauth}`,
          `secret  ${secret}`,
          '',
          `then        cordon accounts enrol ${name} --otp CODE`,
        ]
  const commands = next.map(({ command, why }) => `  ${command.padEnd(40)}${why === '' ? '' : `# ${why}`}`.trimEnd())
  print([`written     ${file}`, `            ${policies}/`, ...account, '', 'next', ...commands].join('\n'))
}

interface Next {
  readonly command: string
  readonly why: string
}

function nextOf(dir: string | undefined): readonly Next[] {
  return [
    ...(dir === undefined || resolve(dir) === process.cwd() ? [] : [{ command: `cd ${quoted(dir)}`, why: '' }]),
    { command: 'cordon doctor', why: 'whether everything that it needs is there' },
    { command: 'cordon start', why: 'the node, the console and all that is between' },
    { command: 'cordon keys create --principal alice', why: 'the first key of a caller, while it runs' },
  ]
}

function quoted(dir: string): string {
  return /^[\w./-]+$/.test(dir) ? dir : `'${dir.replaceAll("'", "'\\''")}'`
}

/** The first code shows that the authenticator has the secret; who has none at hand does it later. */
async function confirm(questions: Questions, { file, administrator }: Made, folder: string): Promise<void> {
  const { config } = loadConfig({ file, environment: {}, flags: new Map() })
  const { administrators } = openAccounts({ ...config, dataDir: resolve(folder, config.dataDir) })
  await questions.ask('\nThe code that your authenticator shows now (nothing: later)', '', (code) => {
    if (code === '') return
    try {
      administrators.confirm(administrator.name, code.replaceAll(/\s/g, ''), Date.now())
      questions.say(`${administrator.name} has a second factor`)
    } catch (error) {
      if (error instanceof AccountError && error.code === 'CODE_REFUSED') throw new CliError('USAGE', error.message)
      throw error
    }
  })
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
