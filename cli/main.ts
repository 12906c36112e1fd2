import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { CordonError } from '../schemas/index.ts'
import { accountsCommand } from './commands/accounts.ts'
import { auditCommand } from './commands/audit.ts'
import { canariesCommand } from './commands/canaries.ts'
import { configCommand } from './commands/config.ts'
import { containCommand, containmentsCommand } from './commands/containments.ts'
import { deadLettersCommand } from './commands/dead-letters.ts'
import { detectorsCommand } from './commands/detectors.ts'
import { doctorCommand } from './commands/doctor.ts'
import { findingsCommand } from './commands/findings.ts'
import { incidentsCommand } from './commands/incidents.ts'
import { initCommand } from './commands/init.ts'
import { keysCommand } from './commands/keys.ts'
import { limitsCommand } from './commands/limits.ts'
import { modelsCommand } from './commands/models.ts'
import { policyCommand } from './commands/policy.ts'
import { profilesCommand } from './commands/profiles.ts'
import { queryCommand } from './commands/query.ts'
import { repartitionCommand } from './commands/repartition.ts'
import { roleCommands } from './commands/roles.ts'
import { secretsCommand } from './commands/secrets.ts'
import { startCommand } from './commands/start.ts'
import { statusCommand } from './commands/status.ts'
import { topicsCommand } from './commands/topics.ts'
import { watermarkCommand } from './commands/watermark.ts'
import { cell } from './output.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const program = new Command('cordon')
  .description('Detects attacks on model-serving endpoints while they happen and contains them by itself.')
  .version(version)
  .showHelpAfterError('(add --help for what this command takes)')

initCommand(program)
startCommand(program, version)
roleCommands(program, version)
secretsCommand(program)
keysCommand(program)
canariesCommand(program)
accountsCommand(program)
modelsCommand(program)
limitsCommand(program)
findingsCommand(program, version)
incidentsCommand(program)
containmentsCommand(program)
containCommand(program)
queryCommand(program)
deadLettersCommand(program)
topicsCommand(program)
repartitionCommand(program)
statusCommand(program)
auditCommand(program)
detectorsCommand(program)
profilesCommand(program)
watermarkCommand(program)
policyCommand(program)
configCommand(program)
doctorCommand(program)

try {
  await program.parseAsync(process.argv)
} catch (error) {
  fail(error)
}

/** One line on standard error (an object with --json), and a status that scripts can tell apart: 2 for wrong usage, else 1. */
function fail(error: unknown): void {
  const known = error instanceof CordonError
  const usage = known && (error.code === 'USAGE' || error.code.startsWith('CONFIG_'))
  if (process.argv.includes('--json') && known) console.error(JSON.stringify({ code: error.code, error: error.message }))
  else console.error(known ? `cordon: ${error.message.split('\n').map(cell).join('\n')}` : error)
  process.exitCode = usage ? 2 : 1
}
