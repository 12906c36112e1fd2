import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

// Preloaded into a process: which modules it loads, by import or require, is in the file MODULE_LIST once it ends.
const file = process.env['MODULE_LIST']
if (file === undefined) throw new Error('MODULE_LIST names the file that takes the list')
const loaded: string[] = []
registerHooks({
  load: (url, context, next) => {
    loaded.push(url)
    return next(url, context)
  },
})
process.on('exit', () => writeFileSync(file, JSON.stringify(loaded)))
