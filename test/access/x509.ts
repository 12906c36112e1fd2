import { createPrivateKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'

/** A certificate and its key, PEM. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

export interface CertificateRequest {
  readonly commonName: string
  /** `DNS:…`, `URI:…`, `IP:127.0.0.1`. */
  readonly alternativeNames?: readonly string[]
  readonly from?: number
  readonly to?: number
  /** Who signs; left out, it signs itself and may sign others. */
  readonly by?: Pair & { readonly commonName: string }
}

const year = 365 * 86_400_000
let serial = 1

/** Signs an X.509 v3 certificate (RFC 5280) by ECDSA with P-256 and SHA-256: Node reads certificates, and makes none. */
export function makeCertificate({ commonName, alternativeNames = [], from, to, by }: CertificateRequest): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const now = Date.now()
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const extensions = [
    sequence(
      oid('551d13'),
      ...(by === undefined ? [Buffer.from('0101ff', 'hex')] : []),
      octets(sequence(...(by === undefined ? [Buffer.from('0101ff', 'hex')] : []))),
    ),
    ...(alternativeNames.length === 0 ? [] : [sequence(oid('551d11'), octets(sequence(...alternativeNames.map(generalName))))]),
  ]
  const signed = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.from([serial++])),
    algorithm,
    nameOf(by?.commonName ?? commonName),
    sequence(time(from ?? now - year), time(to ?? now + year)),
    nameOf(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  )
  const signer: KeyObject = by === undefined ? privateKey : createPrivateKey(by.key)
  const der = sequence(signed, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', signed, signer)])))
  return { cert: new X509Certificate(der).toString(), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const size = content.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return tlv(0x30, ...contents)
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

function octets(content: Buffer): Buffer {
  return tlv(0x04, content)
}

function nameOf(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(commonName)))))
}

function generalName(text: string): Buffer {
  const [kind, value] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)]
  if (kind === 'IP') return tlv(0x87, Buffer.from(value.split('.').map(Number)))
  return tlv(kind === 'DNS' ? 0x82 : 0x86, Buffer.from(value))
}

/** GeneralizedTime, to the second. */
function time(at: number): Buffer {
  return tlv(0x18, Buffer.from(`${new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`))
}
