import type { CallOutcome, Dendrite, Target } from '../dendrite/index.js'
import type { Clock } from '../lib/clock.js'
import { must } from '../lib/errors.js'
import {
  LengthCheck,
  TaskWarrant,
  VideoCompression,
  VideoUpscaling,
  WARRANT,
} from '../protocol/index.js'
import type { GenerationClient } from './generation/client.js'
import { opaqueId } from './opaque-id.js'
import type {
  AskOptions,
  MinerAnswer,
  MinerClient,
  MinerTarget,
  MinerTask,
  Warrant,
} from './ports.js'

/** How the state names what a warrant numbers. */
const KINDS: Readonly<Record<number, string>> = {
  [WARRANT.compression]: 'compress',
  [WARRANT.upscaling]: 'upscale',
  [WARRANT.generation]: 'generate',
  [WARRANT.audio]: 'speech',
}

/** How long a user may fetch a generated video. */
const RESULT_EXPIRY_S = 12 * 3_600

/** Talks to miners through the dendrite. Every failure of a miner comes back as an answer. */
export class DendriteMinerClient implements MinerClient {
  readonly #dendrite: Dendrite
  readonly #clock: Clock
  readonly #generation: GenerationClient | undefined

  constructor(dendrite: Dendrite, clock: Clock, generation?: GenerationClient) {
    this.#dendrite = dendrite
    this.#clock = clock
    this.#generation = generation
  }

  async warrant(miner: MinerTarget, options: AskOptions): Promise<Warrant | undefined> {
    const outcome = await this.#dendrite.call(target(miner), TaskWarrant, {}, options)
    if (!outcome.ok) return undefined
    return { kinds: outcome.response.warrant_tasks.flatMap((task) => KINDS[task] ?? []) }
  }

  async maxLengthSeconds(miner: MinerTarget, options: AskOptions): Promise<number | undefined> {
    const outcome = await this.#dendrite.call(target(miner), LengthCheck, {}, options)
    return outcome.ok ? outcome.response.max_content_length : undefined
  }

  async ask(miner: MinerTarget, task: MinerTask, options: AskOptions): Promise<MinerAnswer> {
    if (task.kind === 'generation') return this.#generate(miner, task, options)
    const started = this.#clock.monotonic()
    const outcome = await this.#send(miner, task, options)
    const latencyMs = this.#clock.monotonic() - started
    if (!outcome.ok) {
      if (outcome.kind === 'local') {
        const reason = 'this machine could not send: out of sockets or memory'
        return { ok: false, outcome: 'infrastructure', latencyMs, reason }
      }
      const refused = outcome.kind === 'refused'
      const status = outcome.statusCode === undefined ? '' : ` ${outcome.statusCode}`
      // The text of a peer stays out of reasons: it is hostile, and the code says enough.
      const reason = refused
        ? `the miner refused with status${status}`
        : `no answer: ${outcome.kind}`
      return { ok: false, outcome: refused ? 'refused' : 'no_answer', latencyMs, reason }
    }
    const url = outcome.response.miner_response.optimized_video_url
    if (url === '')
      return {
        ok: false,
        outcome: 'empty_url',
        latencyMs,
        reason: 'the miner answered without a URL',
      }
    return { ok: true, url, latencyMs }
  }

  /** The result lies in our own store: its video is taken out of the package, and its URL is ours. */
  async #generate(
    miner: MinerTarget,
    { roundId, workflow }: Extract<MinerTask, { kind: 'generation' }>,
    options: AskOptions,
  ): Promise<MinerAnswer> {
    const generation = must(this.#generation, 'a client of generation')
    const started = this.#clock.monotonic()
    const readiness = await generation.readiness(miner, options.signal)
    if (readiness !== 'ready') {
      const latencyMs = this.#clock.monotonic() - started
      const reason = readiness === 'full' ? 'the miner has no room' : 'the miner has no ComfyUI'
      return { ok: false, outcome: 'refused', latencyMs, reason }
    }
    const request = { taskId: opaqueId(roundId), workflow }
    const answer = await generation.generate(miner, request, options)
    if (!answer.ok) return answer
    const { latencyMs } = answer
    const key = await generation.video(answer.key, options.signal)
    if (key === undefined)
      return { ok: false, outcome: 'bad_media', latencyMs, reason: 'the result holds no video' }
    return { ok: true, url: await generation.url(key, RESULT_EXPIRY_S), latencyMs }
  }

  #send(
    miner: MinerTarget,
    task: Exclude<MinerTask, { kind: 'generation' }>,
    options: AskOptions,
  ): Promise<VideoOutcome> {
    const { url } = task
    const round_id = opaqueId(task.roundId)
    if (task.kind === 'upscaling') {
      const miner_payload = { reference_video_url: url, task_type: task.taskType }
      return this.#dendrite.call(
        target(miner),
        VideoUpscaling,
        { round_id, miner_payload },
        options,
      )
    }
    const miner_payload = {
      reference_video_url: url,
      vmaf_threshold: task.vmafThreshold,
      target_codec: task.codec,
      codec_mode: task.mode,
      target_bitrate: task.targetBitrateMbps,
    }
    return this.#dendrite.call(
      target(miner),
      VideoCompression,
      { round_id, miner_payload },
      options,
    )
  }
}

type VideoOutcome = CallOutcome<typeof VideoUpscaling> | CallOutcome<typeof VideoCompression>

function target({ hotkey, ip, port, version }: MinerTarget): Target {
  return { hotkey, ip, port, ...(version === undefined ? {} : { version }) }
}
