import { readFileSync } from 'node:fs'

/** Names the run of this machine, from its start to its end; null where the system does not tell. */
export function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 64)
  } catch {
    return null
  }
}
