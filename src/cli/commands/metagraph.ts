import type { Neuron } from '../../chain/index.js'
import { formatTable, parseSubnetWords, toJson, withChain } from '../chain-command.js'
import type { Command } from '../command.js'

const VERB = 'metagraph'

export const command: Command = {
  summary: 'show the neurons of a subnet as the chain has them now',
  usage: `usage: subreel metagraph --netuid N [--json] [settings]

Every neuron at one block: stake, permit, trust, incentive, last update and axon.`,

  async run(argv, io) {
    const { config, netuid, switches } = parseSubnetWords(VERB, argv, io, command.usage)
    return withChain(config, async (chain) => {
      const { signal } = io
      const metagraph = await chain.metagraph(netuid, { signal })
      if (switches.has('--json')) {
        io.out(toJson(metagraph))
        return 0
      }
      io.out(`subnet ${netuid} at block ${metagraph.block} (${metagraph.blockHash})`)
      const heading = ['uid', 'hotkey', 'stake', 'permit', 'trust', 'incentive', 'updated', 'axon']
      const rows = metagraph.neurons.map((neuron) => toRow(neuron, metagraph.block))
      for (const line of formatTable([heading, ...rows])) io.out(line)
      return 0
    })
  },
}

function toRow(neuron: Neuron, block: number): string[] {
  const { uid, hotkey, stake, validatorPermit, trust, incentive, lastUpdate, axon } = neuron
  return [
    String(uid),
    hotkey,
    stake.toFixed(2),
    validatorPermit ? 'yes' : '-',
    trust.toFixed(4),
    incentive.toFixed(4),
    lastUpdate === 0 ? '-' : `${block - lastUpdate} blocks ago`,
    axon === undefined
      ? '-'
      : axon.ip.includes(':')
        ? `[${axon.ip}]:${axon.port}`
        : `${axon.ip}:${axon.port}`,
  ]
}
