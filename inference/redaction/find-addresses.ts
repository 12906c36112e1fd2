import ipaddr from 'ipaddr.js'
import { type Find, matchesFrom } from './finding.ts'

const four = /(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w)/g
/** At least three colons: two may stand between names of a program. */
const six = /(?<![\w:.])(?:[0-9a-f]{0,4}:){3,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])/gi
const shortSix = /(?<![\w:.])(?:fe80|f[cd][0-9a-f]{2}|[23][0-9a-f]{3})::[0-9a-f]{1,4}(?![\w:])/gi

/** A number of four parts may be a version. */
const version = /(?:\bv|\bver(?:sion|\.)?|release|firmware|build|\w\/|§|section|chapter)[\s:=#]{0,2}$/i

/** Those that stand for nobody: this host, any host, everybody. */
const nobody: ReadonlySet<string> = new Set(['unspecified', 'loopback', 'broadcast', 'multicast'])

/** Addresses of the Internet Protocol, version 4 and 6. */
export const findAddresses: Find = (text, from, add) => {
  if (text.includes('.', from)) {
    for (const { index, 0: found } of matchesFrom(text, four, from)) {
      if (ipaddr.IPv4.isValidFourPartDecimal(found) && isSomebody(found) && !version.test(text.slice(Math.max(0, index - 16), index)))
        add({ start: index, end: index + found.length, kind: 'ip' })
    }
  }
  if (!text.includes(':', from)) return
  for (const expression of [six, shortSix]) {
    for (const { index, 0: found } of matchesFrom(text, expression, from)) {
      if (ipaddr.IPv6.isValid(found) && isSomebody(found)) add({ start: index, end: index + found.length, kind: 'ip' })
    }
  }
}

function isSomebody(address: string): boolean {
  return !nobody.has(ipaddr.parse(address).range())
}
