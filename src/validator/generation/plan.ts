import type { CorpusClip } from '../../corpus/index.js'
import { pick, SeededRng, shuffle } from '../../lib/rng.js'
import type { WorkflowTemplate, WorkflowValues } from '../../workflows/index.js'
import { drawPrompt } from './prompts.js'

/** A still of the corpus that a workflow begins with. */
export interface StillPlan {
  readonly clipId: string
  readonly atSeconds: number
  readonly mirror: boolean
}

/** A round of generation: enough to run it again. */
export interface GenerationPlan {
  readonly roundId: string
  readonly task: { readonly kind: 'generation'; readonly workflow: string }
  /** What the workflow is filled with; the image's URL is added when it has one. */
  readonly values: WorkflowValues
  readonly still: StillPlan | undefined
  /** Hotkeys in the order they are asked. */
  readonly order: readonly string[]
}

/** Seeds stay exact in every language's numbers. */
const SEEDS = 2 ** 48

/**
 * Draws a round from a block hash: workflow, prompt, seed, first frame. Validators that see the same
 * block, workflows, corpus and miners choose alike; nobody knows the choice before the block is there.
 */
export function planGeneration(input: {
  readonly netuid: number
  readonly block: number
  readonly blockHash: string
  readonly workflows: readonly WorkflowTemplate[]
  readonly clips: readonly CorpusClip[]
  readonly miners: readonly string[]
}): GenerationPlan {
  const { netuid, block, blockHash } = input
  const rng = new SeededRng(`subreel round ${netuid} generation ${blockHash}`)
  const byName = <T extends { readonly name: string }>(a: T, b: T) => (a.name < b.name ? -1 : 1)
  const workflow = pick(rng, [...input.workflows].sort(byName))
  const prompt = drawPrompt(rng)
  const seed = rng.int(SEEDS)
  // Where no model listens to a prompt, colours tell one round's clip from another's.
  const colours = Object.fromEntries(
    workflow.values
      .filter((name) => /^color(_\d)?$/.test(name))
      .map((name) => [name, rng.int(2 ** 24)]),
  )
  const clips = [...input.clips].sort((a, b) => (a.id < b.id ? -1 : 1))
  const needsImage = workflow.takes('image_url')
  const clip = needsImage ? pick(rng, clips) : undefined
  return {
    roundId: `${netuid}-generation-${block}-${blockHash.slice(2, 10)}`,
    task: { kind: 'generation', workflow: workflow.name },
    values: {
      ...(workflow.takes('video_prompt') ? { video_prompt: prompt } : {}),
      ...(workflow.takes('seed') ? { seed } : {}),
      ...colours,
    },
    still:
      clip === undefined
        ? undefined
        : {
            clipId: clip.id,
            atSeconds: Math.round(rng.float() * clip.durationSeconds * 90) / 100,
            mirror: rng.int(2) === 1,
          },
    order: shuffle(rng, [...input.miners].sort()),
  }
}
