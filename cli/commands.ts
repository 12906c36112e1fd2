import type { Command } from 'commander'
import type { RoleName } from '../schemas/index.ts'

/** A command as `cordon --help` shows it. What else it takes, and what it does, is loaded when somebody asks for it. */
export interface CommandEntry {
  /** Its name, and the arguments that it takes. */
  readonly usage: string
  readonly description: string
  /** Resolves to what gives it its options or subcommands, and what it does. */
  load(): Promise<(command: Command, version: string) => void>
}

const roles: Readonly<Record<RoleName, string>> = {
  node: 'serve models: answer requests, enforce containments, emit events',
  ingest: 'take flows and telemetry over HTTP, and store every event in ClickHouse',
  detect: 'run the detectors',
  respond: 'turn findings into incidents and containments; one is in charge, others stand by',
  console: "serve the analyst's page and the API that the commands speak to",
}

/** Every command, in the order of the help. */
export const commands: readonly CommandEntry[] = [
  {
    usage: 'init [dir]',
    description: 'set up a folder: a commented configuration, policies, and the first administrator; asks what no flag says',
    load: async () => (await import('./commands/init.ts')).initCommand,
  },
  {
    usage: 'start',
    description: 'run everything in this process: node, bus, store, detectors, responders, console',
    load: async () => (await import('./commands/start.ts')).startCommand,
  },
  ...(Object.keys(roles) as RoleName[]).map(
    (role): CommandEntry => ({
      usage: role,
      description: `${roles[role]} (a process of its own, over Kafka)`,
      load: async () => {
        const { roleCommand } = await import('./commands/roles.ts')
        return (command, version) => roleCommand(command, version, role)
      },
    }),
  ),
  {
    usage: 'secrets',
    description: 'secrets that the processes of a deployment share',
    load: async () => (await import('./commands/secrets.ts')).secretsCommand,
  },
  {
    usage: 'keys',
    description: 'API keys: create, list, revoke, rotate, claim',
    load: async () => (await import('./commands/keys.ts')).keysCommand,
  },
  {
    usage: 'canaries',
    description: 'texts planted where no answer may have them from; an answer that has one is a leak',
    load: async () => (await import('./commands/canaries.ts')).canariesCommand,
  },
  {
    usage: 'accounts',
    description: 'local accounts of the console, in a file on this machine; its owner alone can read it, and who can, can change it',
    load: async () => (await import('./commands/accounts.ts')).accountsCommand,
  },
  {
    usage: 'models',
    description: 'which version of a model its bare name serves',
    load: async () => (await import('./commands/models.ts')).modelsCommand,
  },
  {
    usage: 'limits',
    description: 'how much callers may take, and what they took',
    load: async () => (await import('./commands/limits.ts')).limitsCommand,
  },
  {
    usage: 'findings',
    description: 'what the detectors saw, newest last',
    load: async () => (await import('./commands/findings.ts')).findingsCommand,
  },
  {
    usage: 'incidents',
    description: 'findings grouped by who and what they are about',
    load: async () => (await import('./commands/incidents.ts')).incidentsCommand,
  },
  {
    usage: 'containments',
    description: 'leases that restrict a target until they run out',
    load: async () => (await import('./commands/containments.ts')).containmentsCommand,
  },
  {
    usage: 'contain <target>',
    description: 'contain a target by hand, such as principal:mallory or pool:gpu-b',
    load: async () => (await import('./commands/containments.ts')).containCommand,
  },
  {
    usage: 'query [name]',
    description: 'ask the store: a query of the forensic library, or SQL (read only); without a name, list them',
    load: async () => (await import('./commands/query.ts')).queryCommand,
  },
  {
    usage: 'dead-letters',
    description: 'records that could not be used, and why; try them again',
    load: async () => (await import('./commands/dead-letters.ts')).deadLettersCommand,
  },
  {
    usage: 'topics',
    description: 'what is on the bus; whether its topics are as configured; rights of each role',
    load: async () => (await import('./commands/topics.ts')).topicsCommand,
  },
  {
    usage: 'repartition <topic>',
    description: 'give a topic that detectors observe more partitions, and move their state; stop every detect process first',
    load: async () => (await import('./commands/repartition.ts')).repartitionCommand,
  },
  {
    usage: 'status',
    description: 'is it up, is it keeping up, and what is wrong',
    load: async () => (await import('./commands/status.ts')).statusCommand,
  },
  {
    usage: 'audit',
    description: 'the audit trail: who asked or ordered what, provably',
    load: async () => (await import('./commands/audit.ts')).auditCommand,
  },
  {
    usage: 'detectors',
    description: 'what can be detected; with --json, each detector with the schema of its parameters',
    load: async () => (await import('./commands/detectors.ts')).detectorsCommand,
  },
  {
    usage: 'profiles',
    description: 'what the ordinary inputs of a model look like: without it, attacks on it go unseen',
    load: async () => (await import('./commands/profiles.ts')).profilesCommand,
  },
  {
    usage: 'watermark',
    description: 'wrong answers, chosen by a key, by which a copy of a model is known',
    load: async () => (await import('./commands/watermark.ts')).watermarkCommand,
  },
  {
    usage: 'policy',
    description: 'whether callers may: check policies, test them, and ask them',
    load: async () => {
      const { policyCommand } = await import('./commands/policy.ts')
      return (command) => policyCommand(command)
    },
  },
  {
    usage: 'config',
    description: 'check the configuration and show what is in force',
    load: async () => (await import('./commands/config.ts')).configCommand,
  },
  {
    usage: 'doctor',
    description: 'check every dependency, key, clock and permission, and say what to do; exit status 1 where anything fails',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
]
