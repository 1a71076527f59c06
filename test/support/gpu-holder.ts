/** Holds the only GPU until it is killed. Argument: the name of the places. */
import { SystemClock } from '#src/lib/clock.js'
import { GpuPlaces } from '#src/media/index.js'

const [name = ''] = process.argv.slice(2)
const read = async () => [{ index: 0, uuid: 'GPU-a', freeMb: 8_000, totalMb: 8_000 }]
const places = new GpuPlaces({ name }, { clock: new SystemClock(), read })
await places.take(1_000, new AbortController().signal)
process.send?.('held')
process.on('message', () => {})
