// Child process that plays the rounds of a rig, to be killed. Arguments: database, folder, rounds.
// Takes the miners from its parent, writes its log to stdout, and stays until it is ended.
import { once } from 'node:events'
import { createLog } from '#src/lib/log.js'
import type { MinerTarget } from '#src/validator/ports.js'
import { FakeClock } from './fake-clock.js'
import { RoundRig } from './round-rig.js'

const [, , location = '', dir = '', rounds = '1'] = process.argv
const rig = await RoundRig.open({ location, dir, clock: new FakeClock(), log: createLog('rounds') })
process.send?.('ready')
const [targets] = (await once(process, 'message')) as [MinerTarget[]]
for (let round = 0; round < Number(rounds); round += 1) await rig.play(round, targets)
process.send?.('done')
