import { z } from 'zod'
import { defineSynapse } from '../synapse.js'

/** Task types of the reference audio subnet. */
export const AUDIO_TASK_TYPES = [
  'transcription',
  'tts',
  'summarization',
  'audio_analysis',
  'video_transcription',
  'text_translation',
  'document_translation',
] as const
export type AudioTaskType = (typeof AUDIO_TASK_TYPES)[number]

/** Speech and text work; data travels inside the message as base64. */
export const AudioTask = defineSynapse({
  name: 'AudioTask',
  request: z.object({
    /** One of AUDIO_TASK_TYPES; the handler refuses what it does not do, with the list. */
    task_type: z.string().max(64).default('transcription'),
    /** Base64. */
    input_data: z.string(),
    /** Language code such as `en`. */
    language: z.string().max(35).default('en'),
  }),
  response: z.object({
    /** Base64. */
    output_data: z.string().optional(),
    /** Seconds. */
    processing_time: z.number().optional(),
    pipeline_model: z.string().max(256).optional(),
    error_message: z.string().max(2000).optional(),
  }),
})
