import type { Command } from 'commander'
import { writeSecrets } from '../instance/secrets.ts'
import { openOutput } from '../output.ts'

export function secretsCommand(program: Command): void {
  const secrets = program.command('secrets').description('secrets that the processes of a deployment share')
  secrets
    .command('create')
    .description('make them: node.json for every node, api.json for ingest and console (setting secretsFile)')
    .requiredOption('--out <dir>', 'folder for the two files; readable by their owner alone')
    .option('--json', 'print JSON: one object a line')
    .action((flags: { out: string; json?: boolean }) => {
      const files = writeSecrets(flags.out)
      openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)).one(
        files,
        `${files.node}  for each \`cordon node\`: keys of fingerprints and of addresses, the same everywhere\n${files.api}  for \`cordon ingest\` and \`cordon console\`: the token of their APIs\nName the file as secretsFile in the configuration of each process.`,
      )
    })
}
