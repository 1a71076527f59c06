import type { CallValue, SUBTENSOR_CALLS } from '../runtime/calls.js'
import type { AccountId } from '../runtime/frame-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { type Context, emitSubtensor, ensure } from './context.js'

type AxonArgs = CallValue<typeof SUBTENSOR_CALLS.serve_axon>
type TlsArgs = CallValue<typeof SUBTENSOR_CALLS.serve_axon_tls>
type PrometheusArgs = CallValue<typeof SUBTENSOR_CALLS.serve_prometheus>

const LOOPBACK_4 = 0x7f00_0001n
const LOOPBACK_6 = 1n
const BROADCAST_4 = 0xffff_ffffn
const BROADCAST_6 = (1n << 128n) - 1n

/** Exactly 127.0.0.1, the broadcast address and what is beyond, and their IPv6 likes are refused. */
function addressAllowed(ipType: number, ip: bigint): boolean {
  if (ipType === 4) return ip !== LOOPBACK_4 && ip < BROADCAST_4
  return ip !== LOOPBACK_6 && ip < BROADCAST_6
}

/** The checks of `serve_axon`, made before inclusion and again at dispatch. */
export function checkAxon({ state, block }: Context, who: AccountId, args: AxonArgs): void {
  const { netuid } = args
  ensure(state.has(Subtensor.Uids, netuid, who), 'HotKeyNotRegisteredInNetwork')
  ensure(args.ip_type === 4 || args.ip_type === 6, 'InvalidIpType')
  ensure(addressAllowed(args.ip_type, args.ip), 'InvalidIpAddress')
  const served = state.find(Subtensor.Axons, netuid, who)?.block ?? 0n
  const limit = state.read(Subtensor.ServingRateLimit, netuid)
  const free = limit === 0n || served === 0n || BigInt(block) - served >= limit
  ensure(free, 'ServingRateLimitExceeded')
  ensure(args.port !== 0, 'InvalidPort')
}

export function serveAxon(context: Context, who: AccountId, args: AxonArgs): void {
  checkAxon(context, who, args)
  const { netuid, ...axon } = args
  context.state.write(Subtensor.Axons, [netuid, who], { block: BigInt(context.block), ...axon })
  emitSubtensor(context, 'AxonServed', netuid, who)
}

/** The first byte of a certificate names its algorithm, at most 64 bytes of key follow. */
export function serveAxonTls(context: Context, who: AccountId, args: TlsArgs): void {
  const { certificate, ...axon } = args
  serveAxon(context, who, axon)
  const [algorithm, ...key] = certificate
  if (algorithm === undefined || key.length > 64) return
  context.state.write(Subtensor.NeuronCertificates, [args.netuid, who], {
    public_key: Uint8Array.from(key),
    algorithm,
  })
}

export function servePrometheus(context: Context, who: AccountId, args: PrometheusArgs): void {
  const { netuid, ...info } = args
  ensure(info.ip_type === 4 || info.ip_type === 6, 'InvalidIpType')
  ensure(addressAllowed(info.ip_type, info.ip), 'InvalidIpAddress')
  ensure(context.state.has(Subtensor.Uids, netuid, who), 'HotKeyNotRegisteredInNetwork')
  ensure(info.port !== 0, 'InvalidPort')
  const value = { block: BigInt(context.block), ...info }
  context.state.write(Subtensor.Prometheus, [netuid, who], value)
  emitSubtensor(context, 'PrometheusServed', netuid, who)
}
