import type { Command } from 'commander'
import type { Model } from '../../schemas/index.ts'
import type { Column } from '../output.ts'
import { type ClientFlags, clientCommand, connect, privilegedCommand } from './client-command.ts'

interface VersionRow {
  readonly model: string
  readonly version: string
  readonly current: boolean
  readonly good: boolean
  readonly digest: string
}

const columns: readonly Column[] = [
  { title: 'MODEL', of: (v: VersionRow) => v.model },
  { title: 'VERSION', of: (v: VersionRow) => v.version },
  { title: 'CURRENT', of: (v: VersionRow) => (v.current ? 'yes' : '') },
  { title: 'GOOD', of: (v: VersionRow) => (v.good ? 'yes' : 'NO') },
  { title: 'DIGEST', of: (v: VersionRow) => v.digest },
]

export function modelsCommand(models: Command): void {
  clientCommand(models.command('list', { isDefault: true }).description('every version that a node says it has, newest last')).action(
    async (flags: ClientFlags) => {
      const { client, output } = connect(flags)
      const found = await client.get<{ models: Model[] }>('/api/models')
      output.list(found.models.flatMap(versionsOf), columns, 'no node serves a model yet')
    },
  )
  privilegedCommand(
    models.command('promote <model> <version>').description("serve a version under the model's bare name; needs the capability promotion"),
  )
    .option('--good', 'mark it good, where it is not: it was checked')
    .action(async (model: string, version: string, flags: ClientFlags & { good?: boolean }) => {
      const { client, output } = connect(flags)
      const made = await client.post<Model>('/api/models/promote', { model, version, good: flags.good === true })
      output.one(made, `${made.name} serves version ${made.current}, unless a roll back holds it (cordon containments list --active)`)
    })
}

function versionsOf({ name, current, versions }: Model): VersionRow[] {
  return versions.map(({ version, good, digest }) => ({ model: name, version, current: version === current, good, digest }))
}
