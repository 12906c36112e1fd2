import type { Find } from './finding.ts'

/** Longest parts of an address (RFC 5321, section 4.5.3.1). */
const maxLocal = 64
const maxDomain = 253

/** Latin, Greek and Cyrillic letters too (RFC 6531); scripts that set no blanks between words would join sentences. */
const local = /[\w!#$%&'*+/=?^`{|}~.\u00c0-\u052f-]/
const domain = /[A-Za-z0-9.\u00c0-\u052f-]/

/** Labels of letters, digits and hyphens, and a last one that has letters, or is an internationalised one. */
const hostname =
  /^(?:[a-z0-9\u00c0-\u052f](?:[a-z0-9\u00c0-\u052f-]{0,61}[a-z0-9\u00c0-\u052f])?\.)+(?:xn--[a-z0-9-]{1,59}|[a-z\u00c0-\u052f]{2,63})$/i

/** What stands after a point where a file's name, or a service's, has an `@`: none of these is a top-level domain. */
const files = /\.(?:png|jpe?g|gif|svg|webp|ico|css|js|tsx?|jsx|json|html?|txt|pdf|service|timer|socket|mount|target)$/i

/** E-mail addresses; each character is looked at twice at most, because no part of an address has an `@`. */
export const findEmails: Find = (text, from, add) => {
  for (let at = text.indexOf('@', from); at !== -1; at = text.indexOf('@', at + 1)) {
    const start = localBefore(text, at, from)
    const end = start < at ? domainAfter(text, at + 1) : 0
    if (end === 0 || start === at) continue
    // `git@host:path` names a repository.
    if (text.charCodeAt(end) === 0x3a && /^:[\w~/]/.test(text.slice(end, end + 2)) && text.slice(start, at) === 'git') continue
    add({ start, end, kind: 'email' })
  }
}

function localBefore(text: string, at: number, from: number): number {
  let start = at
  while (start > from && at - start < maxLocal && local.test(text.charAt(start - 1))) start--
  // What stands around an address, and before one in a query or a list.
  while (start < at && /["'`.,;:!?=/*|{}&#]/.test(text.charAt(start))) start++
  const said = text.slice(start, at)
  const assigned = Math.max(said.lastIndexOf('='), said.lastIndexOf('&'), said.lastIndexOf('?'), said.lastIndexOf('/'))
  return text.charAt(at - 1) === '.' ? at : start + assigned + 1
}

function domainAfter(text: string, from: number): number {
  let end = from
  while (end < text.length && end - from < maxDomain && domain.test(text.charAt(end))) end++
  while (end > from && /[.-]/.test(text.charAt(end - 1))) end--
  const name = text.slice(from, end)
  if (!name.includes('.')) return 0
  if (hostname.test(name)) return files.test(name) ? 0 : end
  // `a@example.org-see`, `a@example.org2`: no top-level domain is like this.
  const shorter = /^[^]*\.[a-z]{2,63}(?=[-\d])/i.exec(name)?.[0]
  return shorter !== undefined && hostname.test(shorter) ? from + shorter.length : 0
}
