import type { Command } from '../command.js'

/** Every verb, loaded when it is used: `subreel doctor` does not load the chain library. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  'bench-host': async () => (await import('./bench-host.js')).command,
  calibrate: async () => (await import('./calibrate.js')).command,
  config: async () => (await import('./config.js')).command,
  devcomfy: async () => (await import('./devcomfy.js')).command,
  devnet: async () => (await import('./devnet.js')).command,
  doctor: async () => (await import('./doctor.js')).command,
  metagraph: async () => (await import('./metagraph.js')).command,
  register: async () => (await import('./register.js')).command,
  score: async () => (await import('./score.js')).command,
  scores: async () => (await import('./scores.js')).command,
  state: async () => (await import('./state.js')).command,
  status: async () => (await import('./status.js')).command,
  verify: async () => (await import('./verify.js')).command,
  wallet: async () => (await import('./wallet.js')).command,
  weights: async () => (await import('./weights.js')).command,
  why: async () => (await import('./why.js')).command,
}
