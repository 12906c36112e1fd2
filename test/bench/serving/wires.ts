import { makeCertificate, type Pair } from '../../access/x509.ts'
import type { Secure } from './connection.ts'

/** What TLS with certificates on both sides takes, of an authority of its own. */
export interface Wires {
  /** PEM of the authority's certificate. */
  readonly authority: string
  readonly server: Pair
  readonly client: Secure
}

export function makeWires(): Wires {
  const authority = { ...makeCertificate({ commonName: 'authority' }), commonName: 'authority' }
  const server = makeCertificate({ commonName: 'node', alternativeNames: ['IP:127.0.0.1'], by: authority })
  const client = { ca: authority.cert, ...makeCertificate({ commonName: 'client', by: authority }) }
  return { authority: authority.cert, server, client }
}
