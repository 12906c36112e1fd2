import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../cli/config/load.ts'
import { busCheck } from '../../cli/doctor/bus.ts'
import { holderOf } from '../../cli/doctor/running.ts'
import { storeCheck } from '../../cli/doctor/store.ts'
import { makeInstance } from '../../cli/init/make.ts'
import { planOf } from '../../cli/init/plan.ts'
import { startInstance, temporaryDataDir } from '../end-to-end/instance.ts'

const cordon = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))

interface Line {
  readonly id: string
  readonly status: string
  readonly found: string
}

it('what init writes starts, answers, lets its administrator in, and is well by doctor', async (t) => {
  const dir = temporaryDataDir(t)
  const dataDir = join(dir, '.cordon')
  // As the commands that init prints: in the folder. The test's instance is started elsewhere.
  const environment = { CORDON_DATA_DIR: dataDir, CORDON_POLICY_DIR: join(dir, 'policies') }
  const { file, administrator } = makeInstance(dir, planOf({}), Date.now(), false)
  const doctor = async (...ports: readonly string[]) => {
    const args = [cordon, 'doctor', '--json', '--config', file, ...ports]
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 90_000,
    })
    const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number]>])
    return {
      code,
      lines: out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Line),
    }
  }
  const instance = await startInstance({ dataDir, environment, args: ['--config', file] })
  const { key } = await instance.createKey('alice')
  const inputs = [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: new Array(784).fill(0) }]
  const ask = async (bearer: string) => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
    const answer = await fetch(`${instance.inference}/v2/models/digits/infer`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ inputs }),
    })
    await answer.arrayBuffer()
    return answer.status
  }
  assert.equal(await ask(key), 200)
  assert.equal(await ask(administrator.token ?? ''), 401, "an administrator's token is for the console")
  const status = await fetch(`${instance.console}/api/status`, { headers: { authorization: `Bearer ${administrator.token}` } })
  assert.equal(status.status, 200)
  await status.arrayBuffer()

  const during = await doctor('--port', new URL(instance.inference).port, '--console-port', new URL(instance.console).port)
  assert.deepEqual(
    during.lines.filter(({ status: how }) => how === 'fail'),
    [],
  )
  const found = new Map(during.lines.map((line) => [line.id, line.found]))
  assert.match(found.get('secrets') ?? '', /no second factor: admin/)
  assert.match(found.get('instance') ?? '', /runs, and all of its roles are well/)
  assert.match(found.get('port:inference') ?? '', /our running instance's/)
  assert.match(found.get('bus') ?? '', /the running instance has it/)
  assert.equal(await instance.stop(), 0)
  // What it left on disk opens, and has the tables of this version.
  const { config } = loadConfig({ file, environment, flags: new Map() })
  const context = { config, file, now: Date.now, clocks: new Map(), held: holderOf(config), running: async () => null }
  const [bus, store] = [await busCheck.run(context), await storeCheck.run(context)]
  assert.deepEqual([bus.status, store.status], ['ok', 'ok'])
  assert.match(store.found, /all \d+ migrations applied/)
})
