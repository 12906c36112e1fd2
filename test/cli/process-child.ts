// A process that is kept by others, as test/cli/processes.test.ts wants it: it says that it is ready, or fails before.
const [how] = process.argv.slice(2)
if (how === 'fails') process.exit(3)
if (how === 'never') {
  setInterval(() => {}, 60_000)
  await new Promise(() => {})
}
process.once('SIGTERM', () => process.exit(how === 'badly' ? 1 : 0))
process.once('disconnect', () => process.exit(0))
process.send?.('ready')
setInterval(() => {}, 60_000)
