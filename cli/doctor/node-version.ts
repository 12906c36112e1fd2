import type { Check } from './check.ts'

/** Those that the native parts are built for. */
const built: ReadonlySet<string> = new Set(['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'])

export const nodeCheck: Check = {
  id: 'node',
  title: 'Node.js',
  async run() {
    const { version, platform, arch, execPath } = process
    const found = `${version} for ${platform}-${arch}, ${execPath}`
    if (!version.startsWith('v22.')) return { status: 'fail', found, advice: 'run `npx cordon`, which brings Node 22' }
    if (built.has(`${platform}-${arch}`)) return { status: 'ok', found }
    return { status: 'fail', found, advice: 'the log and the store are built for Linux (glibc) and macOS, x64 and arm64' }
  },
}
