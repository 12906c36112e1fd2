import { isUtf8 } from 'node:buffer'
import type { Tensor } from '../../port.ts'
import { mapText } from '../../redaction/map-json.ts'
import type { GuardedTexts } from '../../redaction/text-guard.ts'
import { Refusal } from '../refusal.ts'
import { textOf } from './guard-request.ts'

/** A class as servers write it, `value:index:label`; what is not of this form is a text, whatever was asked for. */
const classText = /^(-?\d{1,6}\.\d{1,8}:\d{1,6}(?::|$))(.*)$/s

/**
 * An output as the client may read it: each value of BYTES that is UTF-8; the same tensor where nothing applies.
 *
 * @param classified whether a classification was asked for: of a class only its label may change
 * @throws Refusal `FAILED_UPSTREAM` for bytes that cannot be looked into, where answers are kept from saying something
 */
export function guardOutput(tensor: Tensor, classified: boolean, texts: GuardedTexts): Tensor {
  const { data } = tensor
  if (ArrayBuffer.isView(data)) return tensor
  const guarded = data.map((value) => guardValue(value, classified, texts))
  return guarded.some((value, i) => value !== data[i]) ? { ...tensor, data: guarded } : tensor
}

function guardValue(value: Uint8Array, classified: boolean, texts: GuardedTexts): Uint8Array {
  if (!isUtf8(value)) {
    if (texts.hidesInAnswers) throw new Refusal('FAILED_UPSTREAM', 'The model answered with bytes that cannot be looked into.')
    return value
  }
  const text = textOf(value)
  const [, place = '', label = text] = (classified ? classText.exec(text) : null) ?? []
  const written = mapText(label, (part) => texts.output(part))
  return written === label ? value : Buffer.from(place + written)
}
