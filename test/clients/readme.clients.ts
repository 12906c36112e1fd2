import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { type Instance, startInstance, temporaryDataDir } from '../end-to-end/instance.ts'

const run = promisify(execFile)

/** The commands of README that call curl, as a reader would type them: each begins with `$ ` and goes on after a backslash or a pipe. */
async function curlsOfReadme(): Promise<string[]> {
  const text = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const commands: string[] = []
  let open = false
  for (const line of text.split('\n')) {
    const begins = line.startsWith('$ ')
    if (begins) commands.push(line.slice(2))
    else if (open) commands.push(`${commands.pop()}\n${line}`)
    open = (begins || open) && /[\\|]\s*$/.test(line)
  }
  return commands.filter((command) => command.includes('curl'))
}

describe('curl, as the README has it', () => {
  let instance: Instance
  let key: string
  const dataDir = temporaryDataDir({ after })
  before(async () => {
    instance = await startInstance({ dataDir })
    key = (await instance.createKey('reader')).key
  })
  after(async () => {
    await instance.stop()
  })

  const typed = async (command: string): Promise<string> => {
    const here = command.replaceAll('http://127.0.0.1:8080', instance.inference)
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', here], { env: { ...process.env, KEY: key } })
    return stdout
  }

  test('there are three of them: an image, a chat, a chat as it is written', async () => {
    assert.equal((await curlsOfReadme()).length, 3)
  })

  test('the image is classified', async () => {
    const [image = ''] = await curlsOfReadme()
    const answer = JSON.parse(await typed(image))
    assert.equal(answer.model_name, 'digits')
    assert.deepEqual(answer.outputs[0].shape, [1, 10])
  })

  test('the chat is answered', async () => {
    const [, chat = ''] = await curlsOfReadme()
    const answer = JSON.parse(await typed(chat))
    assert.equal(answer.object, 'chat.completion')
    assert.ok(answer.choices[0].message.content.length > 0)
  })

  test('and piece by piece, up to its end', async () => {
    const [, , stream = ''] = await curlsOfReadme()
    const events = (await typed(stream)).split('\n\n').filter((event) => event !== '')
    assert.equal(events.at(-1), 'data: [DONE]')
    assert.ok(events.length > 3, `${events.length} events`)
  })
})
