import type { LiveEvent } from '../../queue/index.js'

const PREVIEW_IMAGE = 1
const IMAGE_TYPES: Readonly<Record<string, number>> = { 'image/jpeg': 1, 'image/png': 2 }

/** An event as ComfyUI's own socket would send it, so that clients of ComfyUI can watch. */
export function comfyFrame(event: LiveEvent, promptId: string): string | Buffer | undefined {
  const text = (type: string, data: Record<string, unknown>) =>
    JSON.stringify({ type, data: { ...data, prompt_id: promptId } })
  switch (event.kind) {
    case 'submitted':
      return text('execution_start', {})
    case 'progress':
      return text('progress', {
        value: Math.floor(event.fraction * 100),
        max: 100,
        ...(event.nodeId === undefined ? {} : { node: event.nodeId }),
      })
    case 'preview': {
      const type = IMAGE_TYPES[event.mime]
      if (type === undefined) return undefined
      const head = Buffer.alloc(8)
      head.writeUInt32BE(PREVIEW_IMAGE, 0)
      head.writeUInt32BE(type, 4)
      return Buffer.concat([head, Buffer.from(event.image, 'base64')])
    }
    case 'ended':
      return text(event.ok ? 'execution_success' : 'execution_error', {
        status: event.ok ? 'completed' : 'failed',
      })
  }
}
