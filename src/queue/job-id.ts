import { createHash } from 'node:crypto'

/**
 * Id of the job of one caller's task: lower-case hex sha256 over both, the hotkey's length first so
 * that no two pairs share an id. Same pair, same job, on every host and after every restart.
 */
export function jobId(hotkey: string, taskId: string): string {
  return createHash('sha256').update(`${hotkey.length}:${hotkey}:${taskId}`).digest('hex')
}
