import type { Command } from 'commander'
import { rotateFingerprintKey, writeSecrets } from '../instance/secrets.ts'
import { openOutput } from '../output.ts'

export function secretsCommand(secrets: Command): void {
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
  secrets
    .command('rotate <file>')
    .description('a new key of fingerprints in the file of the nodes (node.json, or secrets.json of a data directory)')
    .option('--json', 'print JSON: one object a line')
    .action((file: string, flags: { json?: boolean }) => {
      const done = rotateFingerprintKey(file)
      openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)).one(
        done,
        `${done.file}: key of fingerprints ${done.epoch}; give it to every node and restart them. What was sent before is not compared with what comes after.`,
      )
    })
}
