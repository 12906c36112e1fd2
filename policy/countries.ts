import { type CountryResponse, open } from 'maxmind'
import { PolicyError } from './errors.ts'

/** ISO 3166-1 alpha-2 of an address; null where nobody knows. */
export type CountryOf = (address: string) => string | null

const mostRemembered = 10_000

/**
 * Opens a database of countries in MaxMind's format (GeoLite2-Country, or any other with `country.iso_code`). It is read once.
 *
 * @throws PolicyError `COUNTRIES_UNREADABLE`
 */
export async function openCountries(file: string): Promise<CountryOf> {
  try {
    const reader = await open<CountryResponse>(file, { cache: { max: mostRemembered } })
    return (address) => {
      try {
        return codeOf(reader.get(address))
      } catch {
        // No address, or a broken part of the database: unknown, and a policy that wants a country forbids.
        return null
      }
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new PolicyError('COUNTRIES_UNREADABLE', `policy.countryDatabase: reading ${file}: ${reason}; give a MaxMind database (MMDB)`, {
      cause,
    })
  }
}

function codeOf(found: CountryResponse | null): string | null {
  const code: unknown = found?.country?.iso_code
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) ? code : null
}
