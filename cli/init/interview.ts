import { guess, issuerPlan, providerOf } from './issuer.ts'
import { adminOf, brokersOf, clickhouseOf, type InitFlags, limitOf, modelOf } from './plan.ts'
import type { Questions } from './questions.ts'

/** Asks for what no flag says; each answer is read before the next question. */
export async function interview(questions: Questions, flags: InitFlags): Promise<InitFlags> {
  const said: { -readonly [Key in keyof InitFlags]: InitFlags[Key] } = { ...flags }
  said.admin ??= await questions.ask('Name of the first administrator', 'admin', adminOf)
  if (flags.issuer === undefined) Object.assign(said, await askIssuer(questions, flags))
  if (flags.model === undefined && flags.modelsDir === undefined && flags.upstream === undefined)
    Object.assign(said, await askModel(questions))
  said.limit ??= await questions.ask('Requests that each principal may make, and in what time (or none)', '1000/1h', (text) => {
    limitOf(text)
    return text
  })
  said.kafka ??= await questions.ask('Kafka brokers as host:port (nothing: a log in this process)', '', (text) => brokersOf(text).join(','))
  said.clickhouse ??= await questions.ask('Address of ClickHouse (nothing: in this process)', '', (text) => clickhouseOf(text) ?? '')
  return said
}

async function askIssuer(questions: Questions, { audience, alias }: InitFlags): Promise<InitFlags> {
  const chosen =
    alias ??
    (await questions.ask('Identity provider: okta, entra, keycloak, other or none (keys work in any case)', 'none', (text) =>
      text === 'none' ? text : providerOf(text),
    ))
  if (chosen === 'none') return {}
  const issuer = await questions.ask('Its issuer, exactly as `iss` of its tokens has it', example(chosen), (text) => {
    issuerPlan({ issuer: text, audience: 'any', alias: chosen })
    return text
  })
  const named =
    audience ??
    (await questions.ask('What `aud` of the tokens names', guess(issuer) === 'okta' ? 'api://default' : '', (text) => {
      issuerPlan({ issuer, audience: text, alias: chosen })
      return text
    }))
  return { alias: chosen, issuer, audience: named }
}

function example(provider: string): string {
  if (provider === 'okta') return 'https://example.okta.com/oauth2/default'
  if (provider === 'entra') return 'https://login.microsoftonline.com/TENANT/v2.0'
  return provider === 'keycloak' ? 'https://keycloak.example.com/realms/REALM' : 'https://idp.example.com'
}

async function askModel(questions: Questions): Promise<InitFlags> {
  const where = await questions.ask(
    'Models: built-in ones to try it with, a folder, or an address such as http://10.0.0.5:8000',
    'built-in',
    (text) => text,
  )
  if (where === 'built-in') return {}
  const model = await questions.ask('Name of the model', '', (name) => {
    modelOf({ model: name, modelsDir: '.' })
    return name
  })
  if (!/^https?:/.test(where)) return { model, modelsDir: where }
  const protocol = await questions.ask('What it speaks: oip (Triton, KServe) or openai (vLLM, llama.cpp, LiteLLM)', 'openai', (text) => {
    modelOf({ model, upstream: where, protocol: text })
    return text
  })
  return { model, upstream: where, protocol }
}
