// Child process with a crowd of miners. Argument: how many. Sends where they are to its parent and
// lives until that leaves.
import { Crowd } from './crowd.js'

const crowd = await Crowd.start(Number(process.argv[2]))
process.send?.(crowd.targets)
process.on('disconnect', () => process.exit(0))
