import { z } from 'zod'
import { toBlockNumber } from '../protocol/units.js'
import type { Signer } from '../wallet/types.js'
import { checkServable } from './address.js'
import { type Connection, parse } from './connection.js'
import type { Session } from './session.js'
import { type Order, refused, type Submitter } from './submit.js'
import type { CallOptions, ServeRequest, Submission } from './types.js'
import { bigUint, bytes, uint } from './values.js'

const PALLET = 'SubtensorModule'
/** The protocol number that every version of the SDK announces. */
const AXON_PROTOCOL = 4

const onChain = z.object({
  uid: uint.optional(),
  axon: z
    .object({ block: uint, version: uint, ip: bigUint, port: uint, ipType: uint, protocol: uint })
    .nullish(),
  certificate: z.object({ publicKey: bytes, algorithm: uint }).nullish(),
  rateLimit: uint,
})

/**
 * Announces an axon, unless the chain says the same already or refuses another announcement so soon.
 *
 * @throws ChainError CHAIN_ADDRESS_REFUSED
 */
export async function serveAxon(
  session: Session,
  submitter: Submitter,
  signer: Signer,
  request: ServeRequest,
  options: CallOptions,
): Promise<Submission> {
  const address = checkServable(request.ip, request.port)
  const { head, current } = await session.read('serve: read', options, async (link, signal) => ({
    head: link.head,
    current: await readServed(link, signer, request, signal),
  }))
  if (current.uid === undefined) return refused('HotKeyNotRegisteredInSubNet')
  const axon = current.axon ?? undefined
  if (
    axon !== undefined &&
    axon.ip === address.ip &&
    axon.ipType === address.ipType &&
    axon.port === request.port &&
    axon.version === request.version &&
    axon.protocol === AXON_PROTOCOL &&
    sameCertificate(current.certificate ?? undefined, request.certificate)
  ) {
    return { outcome: 'unchanged' }
  }
  const next = axon === undefined || axon.block === 0 ? 0 : axon.block + current.rateLimit
  if (next > head.number) {
    return {
      ...refused('ServingRateLimitExceeded', `allowed again from block ${next}`),
      retryAt: toBlockNumber(next),
    }
  }
  const order: Order = {
    kind: 'serve',
    build: async () => ({
      pallet: PALLET,
      call: request.certificate === undefined ? 'serve_axon' : 'serve_axon_tls',
      args: {
        netuid: request.netuid,
        version: request.version,
        ip: address.ip.toString(),
        port: request.port,
        ip_type: address.ipType,
        protocol: AXON_PROTOCOL,
        placeholder1: 0,
        placeholder2: 0,
        ...(request.certificate === undefined
          ? {}
          : { certificate: `0x${Buffer.from(request.certificate).toString('hex')}` }),
      },
    }),
  }
  return submitter.submit(signer, order, options)
}

async function readServed(
  link: Connection,
  signer: Signer,
  request: ServeRequest,
  signal: AbortSignal,
) {
  const { netuid } = request
  const read = await link.read(
    link.head.hash,
    {
      uid: [PALLET, 'Uids', netuid, signer.address],
      axon: [PALLET, 'Axons', netuid, signer.address],
      certificate: [PALLET, 'NeuronCertificates', netuid, signer.address],
      rateLimit: [PALLET, 'ServingRateLimit', netuid],
    },
    { signal },
  )
  return parse(onChain, read, 'the axon')
}

/** A certificate goes to chain as one byte of algorithm and the public key. */
function sameCertificate(
  stored: { publicKey: Uint8Array; algorithm: number } | undefined,
  wanted: Uint8Array | undefined,
): boolean {
  if (wanted === undefined) return true
  return (
    stored !== undefined &&
    wanted[0] === stored.algorithm &&
    Buffer.compare(wanted.subarray(1), stored.publicKey) === 0
  )
}
