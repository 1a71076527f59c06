import { readLedgerFile, weightLedgerPath } from '../../chain/index.js'
import { openSigner } from '../../neuron/index.js'
import { toUid } from '../../protocol/units.js'
import { DatabaseWeightLedger } from '../../validator/state/weights.js'
import { formatTable, parseSubnetWords, toJson, withChain } from '../chain-command.js'
import type { Command } from '../command.js'
import { missingState, withState } from '../state-command.js'

const VERB = 'weights'
const SHOWN_ENTRIES = 10

export const command: Command = {
  summary: 'show what weights were sent, what is on chain and when the next window opens',
  usage: `usage: subreel weights --netuid N [--json] [settings]

Reads this validator's ledger (its database, neuron.data_dir) and the chain. Sends nothing.`,

  async run(argv, io) {
    const { config, netuid, switches } = parseSubnetWords(VERB, argv, io, command.usage)
    const { address } = await openSigner(config, io.env)
    // A validator keeps its ledger in its database; other users of the chain client in a file.
    const missing = missingState(config)
    const ours = { hotkey: address, netuid, mechanism: 0 }
    const kept =
      missing === undefined
        ? await withState(config, (db) => new DatabaseWeightLedger(db).list(ours, SHOWN_ENTRIES))
        : []
    const filed = await readLedgerFile(weightLedgerPath(config['neuron.data_dir'], address))
    const entries = [...kept, ...filed.filter((entry) => entry.netuid === netuid)]
      .sort((a, b) => b.block - a.block)
      .slice(0, SHOWN_ENTRIES)
    return withChain(config, async (chain) => {
      const call = { signal: io.signal }
      const [metagraph, rules, epoch] = await Promise.all([
        chain.metagraph(netuid, call),
        chain.hyperparameters(netuid, call),
        chain.epoch(netuid, call),
      ])
      const neuron = metagraph.neurons.find(({ hotkey }) => hotkey === address)
      const onChain =
        neuron === undefined ? undefined : await chain.weights(netuid, toUid(neuron.uid), call)
      const opensAt =
        neuron === undefined || neuron.lastUpdate === 0
          ? epoch.block
          : Math.max(epoch.block, neuron.lastUpdate + rules.weightsRateLimit)
      const report = {
        netuid,
        hotkey: address,
        uid: neuron?.uid,
        validatorPermit: neuron?.validatorPermit,
        block: epoch.block,
        epoch: epoch.index,
        blocksUntilNextEpoch: epoch.blocksUntilNext,
        commitReveal: rules.commitRevealEnabled,
        lastUpdate: neuron?.lastUpdate,
        nextWindow: { block: opensAt, inBlocks: opensAt - epoch.block },
        onChain: onChain === undefined ? undefined : Object.fromEntries(onChain),
        // A salt must stay secret until its reveal.
        ledger: entries.map(({ salt, ...entry }) => ({ ...entry, salted: salt !== undefined })),
      }
      if (switches.has('--json')) {
        io.out(toJson(report))
        return neuron === undefined ? 1 : 0
      }
      if (neuron === undefined) {
        io.err(`${address} is not registered in subnet ${netuid}: see subreel register`)
        return 1
      }
      const seconds = Math.round(((opensAt - epoch.block) * epoch.blockTimeMs) / 1000)
      io.out(`uid ${neuron.uid}  ${address}`)
      io.out(
        `block ${epoch.block}, epoch ${epoch.index}, next epoch in ${epoch.blocksUntilNext} blocks`,
      )
      if (!neuron.validatorPermit) io.out('no validator permit: weights would be refused')
      io.out(
        opensAt > epoch.block
          ? `weights may be set from block ${opensAt}, in about ${seconds} s`
          : 'weights may be set now',
      )
      io.out(`on chain: ${formatWeights(onChain ?? new Map())}`)
      const heading = ['block', 'epoch', 'how', 'outcome', 'included', 'vector', 'error']
      const rows = entries.map((entry) => [
        String(entry.block),
        String(entry.epoch),
        entry.method,
        entry.state,
        entry.includedAt === undefined ? '-' : String(entry.includedAt),
        entry.vectorHash.slice(0, 12),
        entry.error ?? '',
      ])
      if (rows.length === 0) {
        const where = missing === undefined ? '' : `: no validator database at ${missing}`
        io.out(`the ledger of this machine is empty${where}`)
      } else for (const line of formatTable([heading, ...rows])) io.out(line)
      return 0
    })
  },
}

function formatWeights(weights: ReadonlyMap<number, number>): string {
  if (weights.size === 0) return 'none'
  const total = [...weights.values()].reduce((sum, value) => sum + value, 0)
  return [...weights]
    .sort(([, a], [, b]) => b - a)
    .map(([uid, value]) => `${uid}: ${((100 * value) / total).toFixed(1)} %`)
    .join(', ')
}
