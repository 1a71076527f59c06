import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Where a process id means this process: this boot of this machine, and the container. */
function place(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${hostname()}/${boot}/${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return hostname()
  }
}

/** A name for this process that no other has: place, process id, random. */
export const holderName = (): string => `${place()} ${process.pid} ${randomUUID()}`

/** Whether the process of that name is known to be gone; false where nobody can know. */
export function isGone(holder: string): boolean {
  const [where, pid] = holder.split(' ')
  if (where !== place() || !Number.isInteger(Number(pid))) return false
  // The name is not ours, so a process with our id was before us.
  if (Number(pid) === process.pid) return true
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}
