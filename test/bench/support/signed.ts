import { prepareRequest, VideoUpscaling } from 'subreel/protocol'
import { onWire, type Signing, signLegacy } from '../../support/signed.js'

export { uuidOf } from '../../support/signed.js'

const prepared = prepareRequest(VideoUpscaling, {
  miner_payload: { reference_video_url: 'https://example.com/clip.mp4?sig=0123456789abcdef' },
})

/** The bytes of one signed request, as a dendrite sends it. */
export const signedRequest = (of: Signing): Buffer => onWire(signLegacy(prepared, of))

/** The same body without a word of who sends it. */
export const unsignedRequest = (): Buffer =>
  onWire({
    method: 'POST',
    url: `/${VideoUpscaling.name}`,
    headers: { 'content-type': 'application/json' },
    payload: `{${prepared.members}}`,
  })
