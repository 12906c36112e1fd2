import { drawn } from './drawing.ts'
import { escaped } from './html.ts'
import type { Row, SuiteResult, Table } from './results.ts'

/** What the report says of the run as a whole. */
export interface About {
  readonly split: string
  readonly seeds: string
  readonly delayMs: number
  readonly runs: number
  readonly seconds: number
}

const style = `:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--faint:#8883;--good:#1a7f37;--bad:#cf222e}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--good:#3fb950;--bad:#ff7b72}}
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1200px;margin:2rem auto;padding:0 1rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:left;border-bottom:1px solid var(--faint);white-space:nowrap}
.met{color:var(--good)}.missed{color:var(--bad)}.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto}.tick{font-size:11px;fill:currentColor}.grid{stroke:var(--faint)}
.line{fill:none;stroke:currentColor;stroke-width:2}figure ul{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:0 1rem;font-size:12px}
.c0{color:#2f81f7}.c1{color:#db6d28}.c2{color:#2da44e}.c3{color:#a371f7}.c4{color:#bf8700}.c5{color:#e85aad}.c6{color:#1b9aaa}.c7{color:#8b949e}`

/** One page with every table and curve: no scripts, nothing fetched. */
export function reportPage(about: About, results: readonly SuiteResult[]): string {
  const facts = [
    `Split: ${about.split} (seeds ${about.seeds}; ${about.split === 'development' ? 'first' : 'second'} half of the MNIST test images).`,
    `${about.runs} runs of each. Enforced ${about.delayMs} ms after the deciding event. ${about.seconds} s.`,
  ]
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Cordon: evaluation, ${escaped(about.split)}</title><style>${style}</style></head><body>
<h1>Evaluation</h1>${facts.map((fact) => `<p>${escaped(fact)}</p>`).join('')}
${results.map(section).join('\n')}</body></html>\n`
}

function section({ suite, tables, curves }: SuiteResult): string {
  const figures = curves.filter(({ lines }) => lines.length > 0).map(drawn)
  return `<h2>${escaped(suite)}</h2>${tables.map(table).join('')}<div class="curves">${figures.join('')}</div>`
}

function table({ title, note, columns, rows }: Table): string {
  const head = [...columns, 'goals'].map((name) => `<th>${escaped(name)}</th>`).join('')
  const body = rows.map(line).join('')
  return `<h3>${escaped(title)}</h3><p>${escaped(note)}</p><div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`
}

function line({ cells, checks }: Row): string {
  const goals = checks.map(({ goal, met }) => `<span class="${met ? 'met' : 'missed'}">${met ? '✓' : '✗'} ${escaped(goal)}</span>`)
  return `<tr>${cells.map((cell) => `<td>${escaped(cell ?? '–')}</td>`).join('')}<td>${goals.join('<br>')}</td></tr>`
}
