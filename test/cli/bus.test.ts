import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { Config } from '../../cli/config/schema.ts'
import { openBus } from '../../cli/instance/bus.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'

describe('settings of Kafka that cannot be right are refused before any broker is asked', () => {
  const cases: readonly [name: string, bus: Record<string, unknown>, code: string, message: RegExp][] = [
    ['no broker', { brokers: [] }, 'CONFIG_INVALID', /^bus\.brokers: name at least one/],
    [
      'more copies in sync than there are',
      { replication: 2, minInsyncReplicas: 3 },
      'CONFIG_INVALID',
      /^bus\.minInsyncReplicas: 3 of 2 copies/,
    ],
    ['a user without a password', { username: 'u' }, 'CONFIG_INVALID', /^bus\.password: is missing/],
    [
      'a password in clear',
      { username: 'u', password: 'p', mechanism: 'plain' },
      'CONFIG_INVALID',
      /^bus\.mechanism: plain sends the password as it is/,
    ],
    ['certificates without TLS', { caFile: 'ca.pem' }, 'CONFIG_INVALID', /^bus\.caFile: has no effect without TLS; set bus\.ssl/],
    [
      'a certificate without its key',
      { ssl: true, certFile: 'x.pem' },
      'CONFIG_INVALID',
      /^bus\.keyFile: a certificate and its key belong together/,
    ],
    ['a key without its certificate', { ssl: true, keyFile: 'x.key' }, 'CONFIG_INVALID', /^bus\.certFile: a certificate/],
    [
      'a file that is not there',
      { ssl: true, caFile: 'none.pem' },
      'CONFIG_UNREADABLE',
      /^bus\.caFile: .*none\.pem cannot be read: ENOENT/,
    ],
    ['a file of something else', { ssl: true, caFile: 'text' }, 'CONFIG_INVALID', /^bus\.caFile: .*text holds no PEM certificate/],
    ['a torn certificate', { ssl: true, caFile: 'torn.pem' }, 'CONFIG_INVALID', /^bus\.caFile: .*torn\.pem holds no PEM certificate: /],
    [
      'a certificate that is none',
      { ssl: true, certFile: 'text', keyFile: 'torn.pem' },
      'CONFIG_INVALID',
      /^bus\.certFile: .*text holds no PEM certificate/,
    ],
  ]
  for (const [name, given, code, message] of cases) {
    it(name, async (t) => {
      const directory = temporaryDataDir(t)
      writeFileSync(join(directory, 'text'), 'not a certificate')
      writeFileSync(join(directory, 'torn.pem'), '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n')
      const files = Object.fromEntries(
        Object.entries(given).map(([key, value]) => [key, key.endsWith('File') ? join(directory, String(value)) : value]),
      )
      const config = Config.parse({ bus: { adapter: 'kafka', brokers: ['127.0.0.1:1'], ...files } })
      await assert.rejects(openBus(config, pino({ level: 'silent' })), { code, message })
    })
  }
})
