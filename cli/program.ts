import { Command } from 'commander'
import { commands } from './commands.ts'

/**
 * The `cordon` command. Of its commands those alone are loaded that the arguments name: all of them together are every role
 * and every library. An argument that happens to be the name of another command loads that too, and changes nothing.
 */
export async function openProgram(version: string, args: readonly string[]): Promise<Command> {
  const program = new Command('cordon')
    .description('Detects attacks on model-serving endpoints while they happen and contains them by itself.')
    .version(version)
    .showHelpAfterError('(add --help for what this command takes)')
  for (const { usage, description, load } of commands) {
    const command = program.command(usage).description(description)
    if (!args.includes(command.name())) continue
    const define = await load()
    define(command, version)
  }
  return program
}
