import { type Find, matchesFrom } from './finding.ts'

/**
 * What each issuer's secret scanners look for: Cordon's own keys and tokens, AWS access keys, GitHub, GitLab, Slack, OpenAI and
 * Anthropic, Google, Stripe, npm, Hugging Face and SendGrid tokens, and JSON Web Tokens (RFC 7519). Each begins where a word
 * does, and no part of one begins another, so that a text is looked through about once.
 */
const tokens = new RegExp(
  `(?<![A-Za-z0-9_-])(?:${[
    'cordon_[A-Za-z0-9_]{20,}',
    'A(?:KIA|SIA)[A-Z0-9]{16}',
    'gh[pousr]_[A-Za-z0-9]{30,}',
    'github_pat_[A-Za-z0-9_]{22,}',
    'glpat-[A-Za-z0-9_-]{20,}',
    'xox[abeoprs]-[A-Za-z0-9-]{10,}',
    'sk-[A-Za-z0-9_-]{20,}',
    'AIza[A-Za-z0-9_-]{35}',
    '[rs]k_(?:live|test)_[A-Za-z0-9]{16,}',
    'npm_[A-Za-z0-9]{36}',
    'hf_[A-Za-z0-9]{30,}',
    'SG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}',
    'eyJ[A-Za-z0-9_-]{8,}\\.eyJ[A-Za-z0-9_-]{8,}(?:\\.[A-Za-z0-9_-]*)?',
  ].join('|')})(?![A-Za-z0-9])`,
  'g',
)

/** User and password in an address (RFC 3986, section 3.2.1). */
const login = /:\/\/[^\s/:@]{0,128}:[^\s/@]{1,256}@/g

/** The words between may be RSA, EC, ENCRYPTED or OPENSSH (RFC 7468). */
const keyBegins = /-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----/g
const keyEnd = 'PRIVATE KEY-----'

/** A private key is found even where its end is missing: it is all of the text then. */
export const findSecrets: Find = (text, from, add) => {
  for (const { index, 0: token } of matchesFrom(text, tokens, from)) add({ start: index, end: index + token.length, kind: 'secret' })
  if (text.includes('://', from))
    for (const { index, 0: found } of matchesFrom(text, login, from))
      add({ start: index + 3, end: index + found.length - 1, kind: 'secret' })
  if (!text.includes('-----BEGIN ', from)) return
  keyBegins.lastIndex = from
  for (let begin = keyBegins.exec(text); begin !== null; begin = keyBegins.exec(text)) {
    const at = text.indexOf(keyEnd, keyBegins.lastIndex)
    if (at === -1) return add({ start: begin.index, end: text.length, kind: 'secret', open: { until: keyEnd, from: keyBegins.lastIndex } })
    keyBegins.lastIndex = at + keyEnd.length
    add({ start: begin.index, end: keyBegins.lastIndex, kind: 'secret' })
  }
}
