import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Files of PEM. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  /** Key and certificate in one, as Kafka wants its own. */
  readonly bothFile: string
}

/** An authority of our own for the length of a test; needs openssl 3. */
export class Authority {
  readonly caFile: string
  readonly #keyFile: string
  readonly #directory: string

  private constructor(directory: string, name: string) {
    this.#directory = directory
    this.caFile = join(directory, `${name}.pem`)
    this.#keyFile = join(directory, `${name}.key`)
  }

  static async create(directory: string, name = 'ca'): Promise<Authority> {
    const authority = new Authority(directory, name)
    await openssl(['-x509', '-subj', `/CN=${name}`, '-keyout', authority.#keyFile, '-out', authority.caFile])
    return authority
  }

  /** A certificate of `CN=name` for 127.0.0.1 and localhost, of clients and servers. */
  async issue(name: string): Promise<Certificate> {
    const [certFile, keyFile, bothFile] = ['crt', 'key', 'both'].map((end) => join(this.#directory, `${name}.${end}`)) as [
      string,
      string,
      string,
    ]
    const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-addext', 'basicConstraints=CA:FALSE']
    const signer = ['-CA', this.caFile, '-CAkey', this.#keyFile]
    await openssl(['-x509', ...signer, '-subj', `/CN=${name}`, ...names, '-keyout', keyFile, '-out', certFile])
    await writeFile(bothFile, (await readFile(keyFile, 'utf8')) + (await readFile(certFile, 'utf8')), { mode: 0o600 })
    return { certFile, keyFile, bothFile }
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  await run('openssl', ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', ...args])
}
