import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { readCheckpoint, type SignedCheckpoint, verifierKey } from '../../audit/checkpoint.ts'
import { AuditError } from '../../audit/errors.ts'
import { makeNextKey } from '../../audit/key-file.ts'
import { publicKeyPem, readPublicKey } from '../../audit/keys.ts'
import { verifyProof } from '../../audit/proof.ts'
import { exportAll, Prover } from '../../audit/source.ts'
import type { Verdict } from '../../audit/verdict.ts'
import { verifyExport } from '../../audit/verify.ts'
import { readExport, writeExport } from '../audit-file.ts'
import { StoredAudit } from '../audit-store.ts'
import { parseInstant } from '../duration.ts'
import { CliError } from '../errors.ts'
import { type Column, cell, openOutput, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

type VerifyFlags = ClientFlags & { readonly from: string; readonly key?: string[]; readonly checkpoint?: string[]; readonly proof?: string }
type ExportFlags = ClientFlags & { readonly out: string; readonly from?: string; readonly until?: string; readonly principal?: string }

/** Problems that are printed for people; `--json` has more. */
const printed = 20

export function auditCommand(audit: Command): void {
  verifyCommand(audit)
  exportCommand(audit)
  clientCommand(audit.command('prove <id>').description('a proof of one record, for whoever has nothing but the public key of its writer'))
    .option('--out <file>', 'where to write it; default standard output')
    .action(prove)
  clientCommand(audit.command('show <id>').description('what is kept of a request or an order')).action(show)
  clientCommand(
    audit.command('keys').description("public keys as the logs state them; compare them with public.pem in each writer's own directory"),
  ).action(keys)
  audit
    .command('rotate <writer>')
    .description('make a new key for a writer of this data directory, node or orders; it takes it when it is restarted')
    .option('--data-dir <dir>', 'data directory of the instance', process.env.CORDON_DATA_DIR ?? './.cordon')
    .option('--json', 'print JSON: one object a line')
    .action(rotate)
}

function verifyCommand(audit: Command): void {
  clientCommand(
    audit.command('verify').description('hold every record and checkpoint against the others; exit status 1 where something is wrong'),
  )
    .option('--from <file>', 'an export (.gz too), with no instance; or store, of a running one', 'store')
    .option('--key <file...>', 'public keys of the writers, as PEM or verifier keys; without any, what the logs state is taken')
    .option('--checkpoint <file...>', 'checkpoints that you kept: the logs must hold what they cover')
    .option('--proof <file>', 'verify a proof, or an export of proofs, with --key')
    .action(verify)
}

function exportCommand(audit: Command): void {
  clientCommand(
    audit
      .command('export')
      .description('everything, for `verify --from`; with a filter, a proof for each record that a checkpoint covers, a line each'),
  )
    .requiredOption('--out <file>', 'where to write it; compressed where it ends in .gz')
    .option('--from <time>', 'from then on')
    .option('--until <time>', 'up to then')
    .option('--principal <name>', 'only what this principal asked, or this person ordered')
    .action(exportTrail)
}

async function verify(flags: VerifyFlags): Promise<void> {
  const trusted = (flags.key ?? []).map((file) => readPublicKey(textOf(file)))
  const output = openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`))
  if (flags.proof !== undefined) return checkProof(textOf(flags.proof), trusted, output)
  const chunks = flags.from === 'store' ? exportAll(new StoredAudit(connect(flags).client)) : readExport(flags.from)
  const tells = flags.json !== true && process.stderr.isTTY
  const verdict = await verifyExport(chunks, {
    keys: trusted,
    kept: (flags.checkpoint ?? []).map(readKept),
    ...(tells ? { onProgress: (lines: number) => process.stderr.write(`\r${lines} lines verified`) } : {}),
  })
  if (tells) process.stderr.write('\n')
  output.one(verdict, verdictText(verdict))
  if (!verdict.ok) process.exitCode = 1
}

function checkProof(text: string, trusted: readonly string[], output: ReturnType<typeof openOutput>): void {
  if (trusted.length === 0) throw new CliError('USAGE', 'a proof is verified with the public key of its writer: --key FILE')
  const lines = text.split('\n').filter((line) => line !== '')
  if (lines.length > 1) return checkProofs(lines, trusted, output)
  const verdict = verifyProof(parsed(text), trusted)
  output.one(
    verdict,
    verdict.ok
      ? `proved: record ${verdict.seq} of ${cell(verdict.writer)}, log ${verdict.log}, signed ${when(verdict.at)} with ${verdict.size} records\n${cell(verdict.record)}`
      : `not proved: ${verdict.reason}`,
  )
  if (!verdict.ok) process.exitCode = 1
}

function checkProofs(lines: readonly string[], trusted: readonly string[], output: ReturnType<typeof openOutput>): void {
  const failed = lines.flatMap((line, at) => {
    const verdict = verifyProof(parsed(line), trusted)
    return verdict.ok ? [] : [{ line: at + 1, reason: verdict.reason }]
  })
  const told = failed.slice(0, printed).map(({ line, reason }) => `line ${line}: ${reason}`)
  const sum = `${lines.length - failed.length} of ${lines.length} records proved; whether others are missing, an export of everything tells`
  output.one({ ok: failed.length === 0, proofs: lines.length, failed }, [...told, sum].join('\n'))
  if (failed.length > 0) process.exitCode = 1
}

async function exportTrail(flags: ExportFlags): Promise<void> {
  const { client, output } = connect(flags)
  const source = new StoredAudit(client)
  const { principal } = flags
  const since = flags.from === undefined ? undefined : parseInstant(flags.from, Date.now())
  const until = flags.until === undefined ? undefined : parseInstant(flags.until, Date.now())
  if (principal === undefined && since === undefined && until === undefined) {
    const bytes = await writeExport(flags.out, exportAll(source))
    return output.one({ file: flags.out, bytes }, `${flags.out}: ${bytes} bytes; cordon audit verify --from ${flags.out}`)
  }
  const counts = { proofs: 0, unsigned: 0 }
  const known = (await source.keys()).map(({ publicKey }) => publicKey)
  const prover = new Prover(source)
  async function* proofs(): AsyncGenerator<Buffer> {
    for await (const entries of source.entries({ principal, since, until })) {
      for (const entry of entries) {
        const proof = await prover.prove(entry, known)
        if (proof === null) counts.unsigned++
        else {
          counts.proofs++
          yield Buffer.from(`${JSON.stringify(proof)}\n`)
        }
      }
    }
  }
  await writeExport(flags.out, proofs())
  output.one({ file: flags.out, ...counts }, `${flags.out}: ${counts.proofs} proofs; ${counts.unsigned} records are not signed yet`)
}

async function prove(id: string, flags: ClientFlags & { readonly out?: string }): Promise<void> {
  const { client, output } = connect(flags)
  const source = new StoredAudit(client)
  const known = (await source.keys()).map(({ publicKey }) => publicKey)
  const proof = await new Prover(source).prove(await entryOf(source, id), known)
  if (proof === null) throw new AuditError('AUDIT_UNKNOWN', `${id} is on record, and no checkpoint covers it yet; try again in a moment`)
  if (flags.out === undefined) return void process.stdout.write(`${JSON.stringify(proof)}\n`)
  await writeExport(flags.out, [Buffer.from(JSON.stringify(proof))])
  output.one({ file: flags.out }, `${flags.out}: verify it anywhere with cordon audit verify --proof ${flags.out} --key public.pem`)
}

async function show(id: string, flags: ClientFlags): Promise<void> {
  const { client, output } = connect(flags)
  const entry = await entryOf(new StoredAudit(client), id)
  const record = parsed(entry.text)
  const lines = Object.entries(record ?? {}).map(
    ([name, value]) => `${name.padEnd(14)}${cell(name === 'at' ? when(Number(value)) : value)}`,
  )
  output.one({ writer: entry.writer, record }, [`${'writer'.padEnd(14)}${cell(entry.writer)}`, ...lines].join('\n'))
}

const keyColumns: readonly Column[] = [
  { title: 'WRITER', of: (row: { writer: string }) => row.writer },
  { title: 'LOG', of: (row: { log: string }) => row.log },
  { title: 'PUBLIC KEY', of: (row: { publicKey: string }) => row.publicKey },
]

async function keys(flags: ClientFlags): Promise<void> {
  const { client, output } = connect(flags)
  const rows = (await new StoredAudit(client).keys()).map((row) => ({
    ...row,
    verifierKey: verifierKey(row.writer, row.log, row.publicKey),
    pem: publicKeyPem(row.publicKey),
  }))
  output.list(rows, keyColumns, 'no keys')
}

function rotate(writer: string, flags: { readonly dataDir: string; readonly json?: boolean }): void {
  if (writer !== 'node' && writer !== 'orders') throw new CliError('USAGE', `${JSON.stringify(writer)}: name node, or orders`)
  const publicKey = makeNextKey(join(flags.dataDir, 'audit', writer))
  const text = `${publicKey}: restart the process, which signs it with the key before and takes it`
  openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)).one({ writer, publicKey }, text)
}

async function entryOf(source: StoredAudit, id: string) {
  for await (const [first] of source.entries({ id })) if (first !== undefined) return first
  throw new AuditError('AUDIT_UNKNOWN', `there is no record of ${id}`)
}

function verdictText({ ok, records, checkpoints, unsigned, logs, pinned, problems, more }: Verdict): string {
  const lines = problems
    .slice(0, printed)
    .map(({ log, line, message }) => `${log}${line === null ? '' : `, line ${line}`}: ${cell(message)}`)
  const rest = problems.length - lines.length + more
  if (rest > 0) lines.push(`and ${rest} more`)
  const keys = new Set(logs.flatMap((log) => log.keys)).size
  const trust = pinned ? '' : `; signed by ${keys} keys that the logs state themselves: give --key to know whose they are`
  lines.push(
    `${ok ? 'whole' : 'NOT WHOLE'}: ${records} records in ${logs.length} logs, ${checkpoints} checkpoints, ${unsigned} records not signed yet${trust}`,
  )
  return lines.join('\n')
}

function readKept(file: string): SignedCheckpoint {
  const checkpoint = readCheckpoint(textOf(file))
  if (checkpoint === undefined) throw new AuditError('AUDIT_UNREADABLE', `${file} is no checkpoint`)
  return checkpoint
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new AuditError('AUDIT_UNREADABLE', `reading ${file}: ${(cause as Error).message}`, { cause })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
