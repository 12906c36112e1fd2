import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer, type Server as SecureServer, type ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import type { ClientCertificate } from '../../access/identity.ts'

export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
  readonly clientCaFile: string | null
  /** Whether clients are asked for a certificate; `required` ends the handshake without one that an authority of ours signed. */
  readonly clientAuth: 'none' | 'optional' | 'required'
  readonly reloadMs: number
}

/** TLS of a port that listens. */
export interface Tls {
  /**
   * A server with what the files have, now and from now on; connections that stand keep what they began with.
   *
   * @param bounds of HTTP, and `handshakeTimeout`
   */
  createServer(bounds: ServerOptions, handler: RequestListener): SecureServer
  close(): void
}

interface Material {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

/** Reads the files, and goes on reading them. Rejects where they are no certificate and its key: a node must not begin with less. */
export async function openTls(files: TlsFiles, log: Logger): Promise<Tls> {
  const { clientAuth, reloadMs } = files
  let current = await load(files)
  const servers = new Set<SecureServer>()
  const look = async () => {
    try {
      const next = await load(files)
      if (same(current, next)) return
      current = next
      for (const server of servers) server.setSecureContext(contextOf(next))
      log.info({ validTo: new X509Certificate(next.cert).validTo }, 'tls: certificate read again')
    } catch (err) {
      // Half of a renewal, most likely: the other half is there at the next look.
      log.error({ err }, 'tls: the certificate could not be read again; the one before stays')
    }
  }
  const timer = setInterval(() => void look(), reloadMs).unref()
  const clients = { requestCert: clientAuth !== 'none', rejectUnauthorized: clientAuth === 'required' }
  return {
    createServer: (bounds, handler) => {
      const server = createServer({ ...bounds, ...contextOf(current), ...clients, ALPNProtocols: ['http/1.1'] }, handler)
      servers.add(server)
      server.once('close', () => servers.delete(server))
      return server
    },
    close: () => clearInterval(timer),
  }
}

/** The files, read by contents: a mounted secret is swapped by links, whose times say little. */
async function load({ certFile, keyFile, clientCaFile, clientAuth }: TlsFiles): Promise<Material> {
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
  const material = clientAuth === 'none' || clientCaFile === null ? { cert, key } : { cert, key, ca: await readFile(clientCaFile, 'utf8') }
  // Throws where the key is not the certificate's.
  createSecureContext(material)
  return material
}

function contextOf(material: Material): SecureContextOptions {
  return { ...material, minVersion: 'TLSv1.2' }
}

function same(one: Material, other: Material): boolean {
  return one.cert === other.cert && one.key === other.key && one.ca === other.ca
}

/** What each connection brought; read once, though it may have many requests. */
const known = new WeakMap<Socket, ClientCertificate | null>()

/** The certificate that TLS verified; null without one, and for one that no authority of ours signed. */
export function clientCertificateOf(socket: Socket): ClientCertificate | null {
  if (!(socket instanceof TLSSocket)) return null
  let certificate = known.get(socket)
  if (certificate === undefined) {
    certificate = socket.authorized ? read(socket.getPeerX509Certificate()) : null
    known.set(socket, certificate)
  }
  return certificate
}

function read(certificate: X509Certificate | undefined): ClientCertificate | null {
  if (certificate === undefined) return null
  const commonName: unknown = certificate.toLegacyObject().subject.CN
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    serial: certificate.serialNumber.toLowerCase(),
    // Several common names are an array: which is meant, nobody knows.
    commonName: typeof commonName === 'string' ? commonName : null,
    alternativeNames: alternativeNames(certificate.subjectAltName),
    validFrom: Date.parse(certificate.validFrom),
    validTo: Date.parse(certificate.validTo),
  }
}

/**
 * `DNS:a.example, URI:spiffe://b` as a list. Whatever could be read in two ways Node writes as a JSON string without commas
 * (CVE-2021-44532), which is no name that anybody would configure.
 */
function alternativeNames(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(', ')
}
