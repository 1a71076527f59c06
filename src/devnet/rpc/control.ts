import { z } from 'zod'
import type { Faults } from '../faults.js'
import { RUNTIME_MODELS } from '../runtime/runtime.js'
import type { RpcMethod } from './methods.js'
import { param } from './params.js'

export interface Control {
  readonly advance: (count?: number) => number
  readonly setStorage: (key: string, value: string | undefined) => void
  readonly faults: Faults
}

const blocks = z.number().int().min(1).max(100_000).default(1)
const flag = z.boolean().default(true)
const hexText = z.string().regex(/^0x([0-9a-fA-F]{2})*$/)
const runtime = z.object({
  model: z.union([
    z.literal(RUNTIME_MODELS[0]),
    z.literal(RUNTIME_MODELS[1]),
    z.literal(RUNTIME_MODELS[2]),
    z.literal(RUNTIME_MODELS[3]),
  ]),
  specVersion: z.number().int().min(1).optional(),
  callIndexShift: z.number().int().min(0).max(100).optional(),
})
const times = z.number().int().min(1).default(1)
const callRefusal = z.object({ error: z.string(), call: z.string().optional(), times })
const submissionRefusal = z.object({
  code: z.number().int(),
  message: z.string(),
  data: z.string().optional(),
  times,
})

/** `exactOptionalPropertyTypes` wants absent keys, zod gives undefined ones. */
function present<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}

/** What only this node can do, for scripts in any language. Each answers `true` or a number. */
export function controlMethods({
  advance,
  setStorage,
  faults,
}: Control): Record<string, RpcMethod> {
  const done = (act: () => void): true => {
    act()
    return true
  }
  return {
    dev_newBlock: (params) => advance(param(params, 0, blocks)),
    dev_setStorage: (params) => {
      const entries = param(params, 0, z.array(z.tuple([hexText, hexText.nullable()])).max(10_000))
      return done(() => {
        for (const [key, value] of entries) setStorage(key, value ?? undefined)
      })
    },
    dev_stall: (params) => done(() => faults.stall(param(params, 0, flag))),
    dev_blackhole: (params) => done(() => faults.blackhole(param(params, 0, flag))),
    dev_drop: () => done(() => void setImmediate(() => faults.drop())),
    dev_delay: (params) =>
      done(() => faults.delay(param(params, 0, z.number().min(0).max(600_000)))),
    dev_fork: (params) =>
      done(() => faults.fork(param(params, 0, z.number().int().min(1).max(1000)))),
    dev_upgrade: (params) => done(() => faults.upgrade(present(param(params, 0, runtime)))),
    dev_refuseHandshakes: (params) =>
      done(() => {
        const status = param(params, 1, z.number().int().min(400).max(599).default(429))
        faults.refuseHandshakes(param(params, 0, times), status)
      }),
    dev_refuseCalls: (params) =>
      done(() => {
        const { error, ...rest } = present(param(params, 0, callRefusal))
        faults.refuseCalls(error, rest)
      }),
    dev_refuseSubmissions: (params) =>
      done(() => faults.refuseSubmissions(present(param(params, 0, submissionRefusal)))),
    dev_clearFaults: () => done(() => faults.clear()),
  }
}
