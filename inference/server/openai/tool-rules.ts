import type { TextConfiguration } from '../../configuration.ts'
import { shapeOf } from '../../json-scan.ts'
import type { Chat } from './fields.ts'
import { invalid, unusable } from './invalid.ts'
import type { Tool } from './messages.ts'
import { fits, newSchemaBudget, strictnessOf, type ToolSchema } from './tool-schema.ts'

/** Characters of one call's arguments. */
const maxArguments = 262_144
const maxDepth = 48

/** What calls in an answer must fit: the schemas of the tools that were offered, by name. */
export type ToolRules = ReadonlyMap<string, ToolSchema>

/**
 * Checks the tools that a request offers, and the choice among them.
 *
 * @returns undefined where the model's configuration does not have its answers' calls checked
 * @throws Refusal `MALFORMED`
 */
export function openToolRules(chat: Chat, { allow, strict }: TextConfiguration['tools']): ToolRules | undefined {
  const { tools, functions, tool_choice: choice, function_call: call } = chat
  const names = (tools ?? []).map(nameOf)
  if (new Set(names).size !== names.length) throw invalid('tools', 'invalid_value', 'each tool must have a name of its own')
  names.forEach((name, index) => checkAllowed(`tools[${index}].function.name`, name, allow))
  functions?.forEach(({ name }, index) => void checkAllowed(`functions[${index}].name`, name, allow))
  for (const name of chosenOf(choice)) {
    if (!names.includes(name)) throw invalid('tool_choice', 'invalid_value', 'the chosen tool is not among the tools')
  }
  if (typeof call === 'object' && call !== null && !functions?.some(({ name }) => name === call.name))
    throw invalid('function_call', 'invalid_value', 'the chosen function is not among the functions')
  if (!strict) return undefined
  if (functions !== undefined && functions !== null) throw invalid('functions', 'unknown_parameter', 'this model takes tools instead')
  return strictRules(tools ?? [])
}

function nameOf(tool: Tool): string {
  return tool.type === 'function' ? tool.function.name : tool.custom.name
}

function checkAllowed(param: string, name: string, allow: readonly string[] | null): void {
  if (allow !== null && !allow.includes(name)) throw invalid(param, 'tool_not_allowed', 'this tool may not be offered to the model')
}

function chosenOf(choice: Chat['tool_choice']): readonly string[] {
  if (typeof choice !== 'object' || choice === null) return []
  if (choice.type === 'allowed_tools') return choice.allowed_tools.tools.flatMap(chosenOf)
  return [choice.type === 'function' ? choice.function.name : choice.custom.name]
}

function strictRules(tools: readonly Tool[]): ToolRules {
  const rules = new Map<string, ToolSchema>()
  const budget = newSchemaBudget()
  tools.forEach((tool, index) => {
    if (tool.type !== 'function') throw invalid(`tools[${index}].type`, 'invalid_value', 'this model takes tools of type function')
    const { name, parameters } = tool.function
    const flaw = strictnessOf(parameters, budget)
    if (flaw !== undefined) throw invalid(`tools[${index}].function.parameters`, 'invalid_function_parameters', flaw)
    rules.set(name, parameters ?? {})
  })
  return rules
}

/**
 * Checks a call that a model made.
 *
 * @throws Refusal `FAILED_UPSTREAM` where it names no tool that was offered, or does not fit that one's schema
 */
export function checkCall(name: unknown, text: unknown, rules: ToolRules): void {
  const schema = typeof name === 'string' ? rules.get(name) : undefined
  if (schema === undefined || typeof text !== 'string' || text.length > maxArguments) throw invalidCall()
  if (shapeOf(text).depth > maxDepth || !fits(parsed(text), schema)) throw invalidCall()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalidCall()
  }
}

export function invalidCall() {
  return unusable('tool_call_invalid', 'The model called a tool that was not offered, or not as its schema says.')
}
