// Compiled, never run: what a caller and a handler may and may not write.
import {
  defineSynapse,
  prepareRequest,
  type RequestInput,
  type RequestOf,
  type ResponseInput,
  type ResponseOf,
  type VideoUpscaling,
} from 'subreel/protocol'
import { z } from 'zod'

const Greeting = defineSynapse({
  name: 'Greeting',
  request: z.object({ who: z.string(), times: z.int().default(1) }),
  response: z.object({ text: z.string().default('') }),
  requiredHashFields: ['who', 'times', 'text'],
})

defineSynapse({
  name: 'Greeting',
  request: z.object({ who: z.string() }),
  response: z.object({}),
  // @ts-expect-error a hash field must be a field
  requiredHashFields: ['whom'],
})

const asked: RequestOf<typeof Greeting> = { who: 'x', times: 2 }
const given: RequestInput<typeof Greeting> = { who: 'x' }
const got: ResponseOf<typeof Greeting> = { text: 'hello' }
const back: ResponseInput<typeof Greeting> = {}
export const used = [asked, given, got, back]

prepareRequest(Greeting, { who: 'x' })
// @ts-expect-error a required field is missing
prepareRequest(Greeting, {})
// @ts-expect-error a field has the wrong type
prepareRequest(Greeting, { who: 1 })
// @ts-expect-error a request after parsing has its defaults
export const parsed: RequestOf<typeof Greeting> = { who: 'x' }

const streaming: false = Greeting.streaming
export const flags = [streaming]

const url: string = ({} as RequestOf<typeof VideoUpscaling>).miner_payload.reference_video_url
export const urls = [url]
