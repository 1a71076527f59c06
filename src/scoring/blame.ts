import { MediaError } from '../media/index.js'

/** Errors that no result can cause: its file is missing here, or our tools are. */
export function isOurFault(error: unknown): boolean {
  if (!(error instanceof MediaError)) return true
  return ['MEDIA_NOT_FOUND', 'MEDIA_TOOL_MISSING', 'MEDIA_SANDBOX_MISSING'].includes(error.code)
}
