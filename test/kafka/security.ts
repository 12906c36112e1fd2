import { randomBytes } from 'node:crypto'
import { Authority, type Certificate } from './certificates.ts'
import type { Ports } from './settings.ts'

/** Ports of one broker of a secured cluster: that of SASL is `client`. */
export interface SecurePorts extends Ports {
  readonly mutual: number
}

const admin = 'admin'

/** Who may connect to a secured cluster, and how. Only `admin` and the brokers have rights before somebody gives any. */
export class Security {
  readonly authority: Authority
  /** host:port of every broker's listener of mutual TLS, where a user is who the certificate's common name says. */
  readonly mutualBrokers: readonly string[]
  readonly #broker: Certificate
  readonly #passwords: ReadonlyMap<string, string>

  private constructor(authority: Authority, broker: Certificate, users: readonly string[], ports: readonly SecurePorts[]) {
    this.authority = authority
    this.mutualBrokers = ports.map(({ mutual }) => `127.0.0.1:${mutual}`)
    this.#broker = broker
    this.#passwords = new Map([admin, ...users].map((user) => [user, randomBytes(12).toString('hex')]))
  }

  static async create(directory: string, users: readonly string[], ports: readonly SecurePorts[]): Promise<Security> {
    const authority = await Authority.create(directory)
    return new Security(authority, await authority.issue('broker'), users, ports)
  }

  get caFile(): string {
    return this.authority.caFile
  }

  /** What to log in with by SCRAM-SHA-512; that of `admin`, who may do everything, unless another is named. */
  login(user = admin): { readonly username: string; readonly password: string } {
    const password = this.#passwords.get(user)
    if (password === undefined) throw new RangeError(`the cluster was made without a user ${user}`)
    return { username: user, password }
  }

  /** Makes the users, when the data is formatted. */
  get formatArguments(): string[] {
    return [...this.#passwords].flatMap(([user, password]) => ['--add-scram', `SCRAM-SHA-512=[name=${user},password=${password}]`])
  }

  /** Over those of brokerSettings. */
  settings({ client, mutual, controller }: SecurePorts): Record<string, string> {
    return {
      listeners: `SASL://127.0.0.1:${client},MUTUAL://127.0.0.1:${mutual},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': `SASL://127.0.0.1:${client},MUTUAL://127.0.0.1:${mutual}`,
      'listener.security.protocol.map': 'SASL:SASL_SSL,MUTUAL:SSL,CONTROLLER:SSL',
      'inter.broker.listener.name': 'MUTUAL',
      'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
      'listener.name.sasl.scram-sha-512.sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
      'listener.name.mutual.ssl.client.auth': 'required',
      'listener.name.controller.ssl.client.auth': 'required',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': this.#broker.bothFile,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': this.authority.caFile,
      'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+)$/$1/,DEFAULT',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': `User:broker;User:${admin}`,
    }
  }
}
