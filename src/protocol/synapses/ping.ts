import { z } from 'zod'
import { defineSynapse } from '../synapse.js'

/** The base synapse, which every axon serves: an empty message that comes back. */
export const Ping = defineSynapse({
  name: 'Synapse',
  request: z.object({}),
  response: z.object({}),
})
