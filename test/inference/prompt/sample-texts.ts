import { seeded } from '../../attacks/random.ts'

const samples = {
  latin: 'The harbour master, he wrote down 1998 ships; who paid for the berth? Où? Größe, naïve, ﬁne ｗｉｄｅ e\u0301 ',
  cyrillic: 'Напишите, пожалуйста, краткое содержание этого текста в трёх предложениях; ёлка й ',
  cjk: '東京の港に、船が来た。한국어로 대답하세요! 中文字符，测试 ｱｲｳ カタカナ ',
  emoji: 'ok 😀👩‍👩‍👧🎉 ✨🇩🇪 fine 👍🏽 ',
  surrogates: 'a\ud800b \udfff\ud83d \ude00 \udc00c ',
  code: 'function f(x) {\n\treturn x << 2; // "str"\n}\n{"id": 1042, "tags": [null, true]} a_b-c/d?e=f&g ',
  spaces: ' \n\t\u00a0\u3000 a \r\n\u200b\u2028 \ufeff\u0301 ',
  mixed: 'שלום מرحبا สวัสดี नमस्ते Ωmega ½ aaaaaaaaaaaaaaaaaaaaaaaaaaaa ',
} as const

export type Script = keyof typeof samples
export const scripts: readonly Script[] = ['latin', 'cyrillic', 'cjk', 'emoji', 'surrogates', 'code', 'spaces', 'mixed']

/** Parts of a sample, of any code units of it to any others; the same for the same seed. */
export function sampleText(script: Script, seed: number, length: number): string {
  const random = seeded(seed)
  const sample = samples[script]
  let text = ''
  while (text.length < length) {
    const from = random.below(sample.length)
    text += sample.slice(from, from + 1 + random.below(12))
  }
  return text.slice(0, length)
}
