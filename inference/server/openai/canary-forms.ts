/** Shortest form that is looked for, in characters: shorter ones stand in other texts by chance. */
const shortest = 8
/** How a text may be written whose case changes what it encodes to. */
const cases: readonly ((text: string) => string)[] = [(text) => text, (text) => text.toLowerCase(), (text) => text.toUpperCase()]

/**
 * A planted text as a model may be made to write it: as it is, without its blanks, letter by letter, backwards, in hexadecimal, in
 * base64 with whatever stands around it, with what JSON and addresses escape. The search itself takes any case and any white space.
 *
 * @returns at most some thirty forms, each once
 */
export function canaryForms(text: string): readonly string[] {
  const solid = text.replace(/\s+/g, '')
  const forms = new Set([text, solid, [...solid].join(' '), reversed(text), reversed(solid)])
  forms.add(JSON.stringify(text).slice(1, -1)).add(escaped(text)).add(encodeURIComponent(text.toWellFormed()))
  for (const written of cases) {
    const bytes = Buffer.from(written(text))
    const hex = bytes.toString('hex')
    forms
      .add(hex)
      .add(hex.replace(/..(?=.)/g, '$& '))
      .add(hex.replace(/../g, '\\x$&'))
    for (const form of base64Forms(bytes)) forms.add(form)
  }
  return [...forms].filter((form) => form.trim().length >= shortest)
}

function reversed(text: string): string {
  return [...text].reverse().join('')
}

/** As JSON may write what is not ASCII, which tools' arguments are. */
function escaped(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1)
  return inner.replace(/[^\0-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** What stays the same wherever in a longer text the bytes begin: after 0, 1 or 2 bytes of three, without the letters that its neighbours share. */
function* base64Forms(bytes: Buffer): Generator<string> {
  for (const offset of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(offset), bytes])
    const letters = whole.toString('base64').replace(/=+$/, '')
    const from = Math.ceil((offset * 8) / 6)
    const until = Math.floor((whole.length * 8) / 6)
    const inner = letters.slice(from, until)
    yield inner
    yield inner.replaceAll('+', '-').replaceAll('/', '_')
  }
}
