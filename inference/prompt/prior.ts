import { type CharacterModel, openCharacterModels } from './character-model.ts'
import { openMemory } from './memory.ts'
import { Units } from './units.ts'

let prior: CharacterModel | undefined

/**
 * What a character model knows before it has read anything: names of countries, languages, currencies and months in
 * the languages that Node knows (Unicode CLDR), and a page of English, code and records. So a language that a model
 * was not asked in yet reads as a language. Built once, in some 0.1 s.
 */
export function priorModel(): CharacterModel {
  prior ??= build()
  return prior
}

/** Languages of most of the world's writing, one script after the other. */
const locales = [
  'en es pt fr de it nl sv da nb fi pl cs sk hu ro hr sl lt lv et tr vi id sw az uz ca eu ga is af fil',
  'ru uk bg sr kk mn be mk el hy ka he ar fa ur hi mr ne bn pa gu ta te kn ml si th lo my km am zh zh-Hant ja ko',
]
  .join(' ')
  .split(' ')
const regions =
  'AR AT AU BD BE BG BR CA CH CL CN CO CZ DE DK DZ EG ES ET FI FR GB GR HR HU ID IE IL IN IQ IR IS IT JP KE KR KZ LT LV MA MX MY NG NL NO NZ PE PH PK PL PT RO RS RU SA SE SG SI SK TH TN TR TW UA US VE VN ZA'
const languages = 'ar bn cs da de el en es et fa fi fr he hi hu id it ja ko lt nl pl pt ro ru sv ta th tr uk ur vi zh'
const currencies = 'USD EUR GBP JPY CNY INR BRL RUB KRW TRY PLN SEK CHF MXN ZAR'

function build(): CharacterModel {
  const memory = openMemory(1)
  const units = new Units(memory)
  const model = openCharacterModels(memory)(0)
  for (const text of [...locales.map(namesIn), page.repeat(2), page]) {
    units.read(text)
    model.learn(0, text.length)
  }
  return model
}

function namesIn(locale: string): string {
  const region = new Intl.DisplayNames(locale, { type: 'region' })
  const language = new Intl.DisplayNames(locale, { type: 'language' })
  const currency = new Intl.DisplayNames(locale, { type: 'currency' })
  const dates = Array.from({ length: 12 }, (_, month) =>
    new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeZone: 'UTC' }).format(new Date(Date.UTC(2024, month, 2 * month + 1))),
  )
  const names = [
    ...regions.split(' ').map((code) => region.of(code)),
    ...languages.split(' ').map((code) => language.of(code)),
    ...currencies.split(' ').map((code) => currency.of(code)),
    ...dates,
  ]
  return `${names.join(' ')}\n`
}

const page = `You are a helpful assistant. Answer the question below as well as you can, and say so when you do not know. The user may ask about
anything: a trip to plan, a letter to write, a bug in their program, a sum to work out, or why the sky is blue. Keep it short and clear.
Please write a summary of the following text in three sentences. What are the main points? How would you explain this to a child? Translate it
into French, then list five advantages and five disadvantages. My manager asked me to prepare a report on last year's sales, and I don't know
where to start; could you give me an example with numbers? It was raining when we left the house, but by the time they had reached the station
everyone was laughing. If each box holds 24 bottles and there are 15 boxes, how many bottles are there in total? She bought 3 apples for $1.25
each and paid with a $20 bill. Let's think step by step. I've been trying to understand which of these options would be better for our team,
because there isn't enough time to do all of them before the end of the month. Thank you very much for your help; I really appreciate it!
Context: The company was founded in 1998 and has more than 2,000 employees in 12 countries. Question: When was the company founded? Answer:
Write a short story about an old lighthouse keeper and the first night of winter. Use simple words, and make sure that the ending is happy.
Rewrite this sentence so that it sounds more formal. Correct the spelling and the grammar. Classify the review as positive, negative or neutral.
import { readFile } from 'node:fs/promises'
export async function load(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8')
  return text.split('\\n').filter((line) => line.length > 0 && !line.startsWith('#'))
}
def mean(values):
    """Return the arithmetic mean of a list of numbers."""
    if not values:
        raise ValueError("no values")
    total = 0.0
    for index, value in enumerate(values):
        total += value
    return total / len(values)
public static void main(String[] args) { System.out.println("Hello, world!"); int count = 0; while (count < 10) { count++; } }
#include <stdio.h>
int main(int argc, char *argv[]) { for (int i = 0; i < argc; i++) printf("%s\\n", argv[i]); return 0; }
SELECT name, COUNT(*) AS orders, SUM(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.created_at >= '2024-01-01' GROUP BY name;
{"id": 1042, "name": "Anna Smith", "email": "anna@example.com", "tags": ["new", "priority"], "address": {"city": "Berlin", "zip": "10115"}, "active": true}
2024-03-17T08:42:19.503Z INFO server listening on port 8080, request id=7f3a91c2 method=GET path=/api/v1/users status=200 duration=12ms
<html><head><title>Page</title></head><body><div class="main"><p>Some <b>bold</b> text &amp; a <a href="https://www.example.com/">link</a>.</p></div></body></html>
| date | amount | note |
| --- | ---: | --- |
| 2024-05-01 | 1,250.00 | invoice 20240501-17 |
# Heading
- first item
- second item (see \`config.yaml\`)
name: example
version: "1.0"
`
