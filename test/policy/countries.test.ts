import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openCountries } from '../../policy/countries.ts'
import { PolicyError } from '../../policy/errors.ts'
import { databaseOf } from './mmdb.ts'

describe('the country of an address', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cordon-countries-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  it('is what the database says of its network', async () => {
    const file = join(folder, 'countries.mmdb')
    writeFileSync(
      file,
      databaseOf([
        { network: '192.0.2.0/24', record: { country: { iso_code: 'DE' } } },
        { network: '198.51.100.128/25', record: { country: { iso_code: 'FR' } } },
        { network: '203.0.113.0/24', record: { country: { iso_code: 'not a code' } } },
        { network: '203.0.114.0/24', record: { continent: { code: 'EU' } } },
      ]),
    )
    const countryOf = await openCountries(file)
    const table: [string, string | null][] = [
      ['192.0.2.1', 'DE'],
      ['192.0.2.255', 'DE'],
      ['192.0.3.0', null],
      ['198.51.100.128', 'FR'],
      ['198.51.100.127', null],
      ['203.0.113.1', null],
      ['203.0.114.1', null],
      ['no address', null],
      ['', null],
    ]
    for (const [address, country] of table) assert.equal(countryOf(address), country, address)
  })

  it('cannot be known from what is no database', async () => {
    const file = join(folder, 'broken.mmdb')
    writeFileSync(file, 'not a database')
    for (const path of [file, join(folder, 'missing.mmdb')]) {
      await assert.rejects(openCountries(path), (error) => error instanceof PolicyError && error.code === 'COUNTRIES_UNREADABLE')
    }
  })
})
