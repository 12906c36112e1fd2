import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Instant } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { type Check, type Result, reasonOf, worst } from './check.ts'

const day = 86_400_000
const soonMs = 30 * day

interface Pair {
  /** Settings that name the files. */
  readonly setting: string
  /** Our own chain, or authorities that are believed. */
  readonly file: string
  readonly keyFile: string | null
}

/** Every PEM of certificates that the configuration names. */
function pairsOf({ inference, bus, pools }: Config): Pair[] {
  const { tls } = inference
  const found: { setting: string; file: string | null | undefined; keyFile?: string | null }[] = [
    { setting: 'inference.tls.certFile', file: tls?.certFile, keyFile: tls?.keyFile ?? null },
    { setting: 'inference.tls.clientCaFile', file: tls?.clientCaFile },
    { setting: 'bus.certFile', file: bus.certFile, keyFile: bus.keyFile },
    { setting: 'bus.caFile', file: bus.caFile },
    ...pools.map(({ name, upstream }) => ({ setting: `caFile of the pool ${name}`, file: upstream?.caFile })),
  ]
  return found.flatMap(({ setting, file, keyFile = null }) => (file === null || file === undefined ? [] : [{ setting, file, keyFile }]))
}

export const certificateCheck: Check = {
  id: 'certificates',
  title: 'Certificates',
  async run({ config, now }) {
    return worst(
      pairsOf(config).map((pair) => judge(pair, now())),
      'none are configured',
    )
  },
}

function judge({ setting, file, keyFile }: Pair, now: Instant): Result {
  const advice = 'name a PEM file that this user may read'
  const chain = tried(() => certificatesIn(readFileSync(file, 'utf8')))
  if (chain instanceof Error) return { status: 'fail', found: `${setting} ${file}: ${reasonOf(chain)}`, advice }
  const [own] = chain
  if (own === undefined) return { status: 'fail', found: `${setting} ${file} holds no certificate`, advice }
  if (keyFile !== null) {
    const fits = tried(() => own.checkPrivateKey(createPrivateKey(readFileSync(keyFile, 'utf8'))))
    if (fits instanceof Error) return { status: 'fail', found: `the key of ${setting}, ${keyFile}: ${reasonOf(fits)}`, advice }
    if (!fits)
      return { status: 'fail', found: `${keyFile} is not the key of ${file}`, advice: 'name the key that the certificate was made with' }
  }
  return worst(
    chain.map((certificate) => judgeValidity(certificate, `${setting} ${file}`, now)),
    '',
  )
}

function judgeValidity({ validFromDate, validToDate, subject }: X509Certificate, where: string, now: Instant): Result {
  const whose = `${where} (${subject.replaceAll('\n', ', ').slice(0, 120)})`
  const until = validToDate.toISOString().slice(0, 10)
  const advice = 'renew it; the node reads it again by itself'
  if (now < validFromDate.getTime())
    return {
      status: 'fail',
      found: `${whose} counts only from ${validFromDate.toISOString()} on`,
      advice: 'see whether our clock is right',
    }
  const leftMs = validToDate.getTime() - now
  if (leftMs <= 0) return { status: 'fail', found: `${whose} expired on ${until}`, advice }
  if (leftMs < soonMs) return { status: 'warn', found: `${whose} expires on ${until}, in ${Math.floor(leftMs / day)} days`, advice }
  return { status: 'ok', found: `${where} until ${until}` }
}

function certificatesIn(text: string): X509Certificate[] {
  return (text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map((pem) => new X509Certificate(pem))
}

function tried<T>(run: () => T): T | Error {
  try {
    return run()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
