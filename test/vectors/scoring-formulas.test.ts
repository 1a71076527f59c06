// Replays test/fixtures/scoring/{vidaio,neza,violet,yuma}.json: 228 published cases of the formulas.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as audio from '#src/scoring/formulas/audio.js'
import {
  type CompetitionItem,
  competitionFinal,
  competitionLengthWeight,
} from '#src/scoring/formulas/competition.js'
import { compressionScore } from '#src/scoring/formulas/compression.js'
import * as consensus from '#src/scoring/formulas/consensus.js'
import type { CompressionClaim, FrameColour, ToneFrame } from '#src/scoring/formulas/evidence.js'
import * as evidence from '#src/scoring/formulas/evidence.js'
import { generationSpeed, packageScore, videoSimilarity } from '#src/scoring/formulas/generation.js'
import * as history from '#src/scoring/formulas/history.js'
import * as neza from '#src/scoring/formulas/neza-weight.js'
import { afterFailure, afterSuccess, NO_PENALTY } from '#src/scoring/formulas/penalty.js'
import {
  harmonicMean,
  harmonicMeanDroppingZeros,
  pieappAggregate,
} from '#src/scoring/formulas/pooling.js'
import { liquidation, type PoolMiner, poolWeights } from '#src/scoring/formulas/pools.js'
import { sequenceRatio } from '#src/scoring/formulas/sequence-ratio.js'
import {
  lengthScore,
  organicUpscaleClass,
  upscaleQuality,
  upscaleScore,
} from '#src/scoring/formulas/upscaling.js'
import { yumaEpoch } from '#src/scoring/formulas/yuma.js'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
/** What a formula takes: the vectors hold its input as JSON. */
type Of<F extends (input: never, ...rest: never[]) => unknown> = Parameters<F>[0]
interface History {
  readonly historyNewestFirst: readonly { s_f: number; s_q?: number }[]
}
type RawMiner = Omit<PoolMiner, 'retained'> & { readonly retained: number | null }
interface Case {
  readonly id: string
  readonly fn: string
  readonly in: Json
  readonly out: Record<string, Json>
}
interface VectorFile {
  readonly tolerance: number
  readonly case_count: number
  readonly cases: readonly Case[]
}

const orAbsent = <T>(value: T | null): T | undefined => (value === null ? undefined : value)
const orNull = <T>(value: T | undefined): T | null => value ?? null
const snake = (object: object): Record<string, Json> =>
  Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value as Json,
    ]),
  )
const rows = (list: readonly { s_f: number; s_q?: number }[]) =>
  list.map((row) => ({
    score: row.s_f,
    ...(row.s_q === undefined ? {} : { quality: row.s_q }),
  }))
const multipliers = (m: history.Multipliers) => ({
  bonus_count: m.bonusCount,
  penalty_f_count: m.penaltyScoreCount,
  penalty_q_count: m.penaltyQualityCount,
  bonus: m.bonus,
  penalty_f: m.penaltyScore,
  penalty_q: m.penaltyQuality,
  total: m.total,
  avg_s_f: m.averageScore,
  tier: m.tier,
})
const organic = (step: history.OrganicStep) => ({
  acc: step.accumulated,
  recorded: step.row !== undefined,
  ...(step.row === undefined
    ? {}
    : { s_f: step.row.score, s_q: step.row.quality, s_l: step.row.length, success: false }),
})
const miners = (list: readonly RawMiner[]): PoolMiner[] =>
  list.map((miner) => ({ ...miner, retained: orAbsent(miner.retained) }))

const VIDAIO: Record<string, (i: never) => object> = {
  compressionScore: (i: Of<typeof compressionScore>) => compressionScore(i),
  upscaleQuality: (i: { pieapp: number }) => ({ s_q: upscaleQuality(i.pieapp) }),
  lengthScore: (i: { seconds: number }) => ({ s_l: lengthScore(i.seconds) }),
  upscaleScore: (i: { pieapp: number; vmaf: number; contentLength: number }) => {
    const r = upscaleScore({ ...i, contentLengthSeconds: i.contentLength })
    return {
      s_q: r.quality,
      s_l: r.length,
      s_pre: orNull(r.combined),
      s_f: r.score,
      gate: r.gate,
    }
  },
  pieappAggregate: (i: { frames: number[] }) => ({ pieapp: pieappAggregate(i.frames) }),
  upscaleMultipliers: (i: History) =>
    multipliers(history.upscaleMultipliers(rows(i.historyNewestFirst))),
  compressionMultipliers: (i: History) =>
    multipliers(history.compressionMultipliers(rows(i.historyNewestFirst))),
  accumulate: (i: {
    start: number
    events: { s_f: number; multiplier: number; rate?: number }[]
  }) => {
    let accumulated = i.start
    const after = i.events.map((event) => {
      accumulated = history.accumulate(accumulated, {
        score: event.s_f === -100 ? undefined : event.s_f,
        multiplier: event.multiplier,
        ...(event.rate === undefined ? {} : { rate: event.rate }),
      })
      return accumulated
    })
    return { after }
  },
  organicUpscaleStep: (i: { acc: number; score: history.OrganicUpscaleClass }) =>
    organic(history.organicUpscaleStepPenaltiesOnly(i.acc, i.score)),
  organicUpscaleClass: (i: Of<typeof organicUpscaleClass>) => ({ score: organicUpscaleClass(i) }),
  weights: (i: Of<typeof poolWeights> & { compression: RawMiner[]; upscaling: RawMiner[] }) => ({
    weights: Object.fromEntries(
      poolWeights({
        ...i,
        compression: miners(i.compression),
        upscaling: miners(i.upscaling),
      }),
    ),
  }),
  liquidation: (i: { snapshotsOldestFirst: Of<typeof liquidation> }) => {
    const result = liquidation(i.snapshotsOldestFirst)
    return result.status === 'ok' ? snake(result) : { ...result, retained: null }
  },
  validatorRateLimit: (i: { stakes: number[]; uid: number }) => {
    const limit = evidence.validatorRateLimit(i.stakes, i.uid)
    return { limit, effective: evidence.validatorRateLimitAdmittedByReference(limit) }
  },
  dedupeCompression: (i: { rows: (CompressionClaim & { base: number | null })[] }) => ({
    duplicateOwnerByIndex: Object.fromEntries(
      evidence.dedupeCompression(i.rows.map((r) => ({ ...r, base: orAbsent(r.base) }))),
    ),
  }),
  vmafPool: (i: { frames: number[] }) => ({
    referenceCuda: harmonicMeanDroppingZeros(i.frames),
    libvmafHarmonic: harmonicMean(i.frames),
  }),
  chromaGate: (i: { refSatAvg: number[]; outSatAvg: number[] }) => {
    const { ok, ratio } = evidence.chromaGate(i.refSatAvg, i.outSatAvg)
    return { ok, ratio: orNull(ratio) }
  },
  grayGate: (i: { ref: FrameColour[]; out: FrameColour[] }) => evidence.grayGate(i.ref, i.out),
  toneAggregate: (i: { frames: ToneFrame[] }) => snake(evidence.toneAggregate(i.frames)),
  competitionLengthWeight: (i: { duration: number; max: number; exponent: number }) => ({
    weight: competitionLengthWeight(i.duration, i.max, i.exponent),
  }),
  competitionFinal: (i: {
    items: (CompetitionItem & { eval: string })[]
    factors: { quality: number; cost: number; coverage: number }
  }) =>
    Object.fromEntries(
      competitionFinal(
        i.items.map((item) => ({ ...item, evaluation: item.eval })),
        i.factors,
      ),
    ),
  upscaleSizeGate: (i: Of<typeof evidence.upscaleSizeGate>) => ({
    ok: evidence.upscaleSizeGate(i),
  }),
  bitrateGate: (i: Of<typeof evidence.bitrateGate>) => ({ ok: evidence.bitrateGate(i) }),
}

const NEZA: Record<string, (i: never) => object> = {
  speedScore: (i: { seconds: number | null }) => ({ speed: generationSpeed(orAbsent(i.seconds)) }),
  videoSimilarity: (i: { videoCos: number; audioCos: number | null }) => ({
    score: videoSimilarity(i.videoCos, orAbsent(i.audioCos)),
  }),
  packageScore: (i: { fileScores: number[]; seconds: number | null }) =>
    packageScore(i.fileScores, orAbsent(i.seconds)),
  safeMean: (i: { values: (number | null)[] }) => ({ mean: neza.safeMean(i.values.map(orAbsent)) }),
  apiTimeFactor: (i: { avgSeconds: number | null; model: string }) => ({
    factor: neza.apiTimeFactor(orAbsent(i.avgSeconds), i.model),
  }),
  normalizeApi: (i: { scores: Record<string, number | null> }) => {
    const scores = new Map(
      Object.entries(i.scores).map(([uid, s]) => [uid, orAbsent(s as number | null)]),
    )
    return { norm: Object.fromEntries(neza.normalizeApi(scores)) }
  },
  minerWeight: (i: Of<typeof neza.minerWeight>) => neza.minerWeight(i),
  emissionShare: (i: Of<typeof neza.emissionShare>) => ({ share: neza.emissionShare(i) }),
  stakeFactor: (i: Of<typeof neza.stakeFactor>) => ({ factor: neza.stakeFactor(i) }),
  consensusBlend: (i: Of<typeof neza.consensusBlend>) => ({ scores: neza.consensusBlend(i) }),
  emissionControl: (i: { scores: number[]; uid: number; percentage: number }) => ({
    scores: neza.emissionControl(i.scores, i.uid, i.percentage),
  }),
  penalty: (i: { events: [number, 'F' | 'S'][] }) => {
    let state = NO_PENALTY
    const windows: [number, number][] = []
    for (const [at, event] of i.events) {
      const before = state.penaltyCount
      state = event === 'F' ? afterFailure(state, at) : afterSuccess(state)
      if (state.penaltyCount > before) windows.push([at, state.penaltyUntil - at])
    }
    return { ...snake(state), windows }
  },
}

const VIOLET: Record<string, (i: never) => object> = {
  speedScore: (i: { seconds: number; task: string }) => ({
    code: audio.audioSpeed(i.seconds, i.task, 'reference'),
    documented: audio.audioSpeed(i.seconds, i.task),
  }),
  taskScore: (i: Of<typeof audio.audioTaskScore>) => audio.audioTaskScore(i, 'reference'),
  rewardWeight: (i: Of<typeof audio.rewardWeight>) => audio.rewardWeight(i),
  availability: (i: Of<typeof audio.availability>) => ({ score: audio.availability(i) }),
  reportConfidence: (i: { fields: string[]; ageSeconds: number | null }) => ({
    confidence: consensus.reportConfidence(i.fields, orAbsent(i.ageSeconds)),
  }),
  weightedAverage: (i: { values: number[]; weights: number[] }) => ({
    value: consensus.weightedAverage(i.values, i.weights),
  }),
  majorityVote: (i: { values: (string | number | boolean)[]; weights: number[] }) =>
    consensus.majorityVote(i.values, i.weights),
  overallConfidence: (i: { confidences: number[]; validators: number[] }) => ({
    confidence: consensus.overallConfidence(i.confidences, i.validators),
  }),
  bestResponse: (i: {
    responses: { uid: number; accuracy: number; speed: number; time: number }[]
  }) => ({
    uid: audio.bestResponse(i.responses.map((r) => ({ ...r, seconds: r.time })))?.uid,
  }),
  rankScore: (i: { total: number; times: number[] }) => audio.rankScore(i.total, i.times),
  scanReward: (i: {
    t: number
    acc: number
    stake: number
    mx: number
    sr?: number
    recent?: number
    spec_total?: number
    spec_sr?: number
  }) => ({
    reward: audio.scanReward({
      seconds: i.t,
      accuracy: i.acc,
      stake: i.stake,
      maxStake: i.mx,
      history:
        i.sr === undefined
          ? undefined
          : {
              successRate: i.sr,
              recentSuccessRate: i.recent ?? 0.5,
              sameTaskCount: i.spec_total ?? 0,
              sameTaskSuccessRate: i.spec_sr ?? 0,
            },
    }),
  }),
  sequenceRatio: (i: { reference: string; candidate: string }) => ({
    ratio: sequenceRatio(i.reference.toLowerCase(), i.candidate.toLowerCase()),
  }),
}

const YUMA: Record<string, (i: never) => object> = {
  epoch: (i: Of<typeof yumaEpoch>) => snake(yumaEpoch(i)),
}

function compare(expected: Json, actual: unknown, tolerance: number, where: string): void {
  if (typeof expected === 'number' && typeof actual === 'number') {
    const difference = Math.abs(expected - actual)
    assert.ok(
      difference <= tolerance || difference <= tolerance * Math.abs(expected),
      `${where}: expected ${expected}, got ${actual}`,
    )
  } else if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), `${where} is not a list`)
    assert.equal(actual.length, expected.length, `${where} has another length`)
    for (const [index, item] of expected.entries()) {
      compare(item, actual[index], tolerance, `${where}[${index}]`)
    }
  } else if (typeof expected === 'object' && expected !== null) {
    for (const [key, value] of Object.entries(expected)) {
      compare(value, (actual as Record<string, unknown>)[key], tolerance, `${where}.${key}`)
    }
  } else {
    assert.deepEqual(actual, expected, where)
  }
}

let replayed = 0
const files: readonly [string, Record<string, (i: never) => object>][] = [
  ['vidaio', VIDAIO],
  ['neza', NEZA],
  ['violet', VIOLET],
  ['yuma', YUMA],
]
for (const [name, functions] of files) {
  const path = new URL(`../../../test/fixtures/scoring/${name}.json`, import.meta.url)
  const file: VectorFile = JSON.parse(readFileSync(path, 'utf8'))
  test(`${name}.json holds all its ${file.case_count} cases`, () => {
    assert.equal(file.cases.length, file.case_count)
  })
  for (const c of file.cases) {
    test(`${c.id} ${c.fn}`, () => {
      const run = functions[c.fn]
      assert.ok(run !== undefined, `no formula for ${c.fn}`)
      compare(c.out, run(c.in as never), file.tolerance, c.id)
      replayed += 1
    })
  }
}

test('all 228 cases were replayed', () => {
  assert.equal(replayed, 228)
})
