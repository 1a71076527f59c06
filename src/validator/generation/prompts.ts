import { pick, type Rng } from '../../lib/rng.js'

const SUBJECTS = [
  'a red fox',
  'an old fisherman',
  'a flock of starlings',
  'a steam train',
  'a girl on a bicycle',
  'a lighthouse keeper',
  'two border collies',
  'a street violinist',
  'a hot air balloon',
  'a potter at the wheel',
  'a sailing boat',
  'a humpback whale',
  'a baker with a tray of bread',
  'a child with a kite',
  'a yellow tram',
  'a snow leopard',
  'a blacksmith',
  'a hummingbird',
  'a tango couple',
  'a farmer on a tractor',
] as const
const PLACES = [
  'in a snowy forest',
  'on a rainy harbour pier',
  'in a field of tall grass',
  'in a narrow old town street',
  'on a mountain pass',
  'at the edge of a desert',
  'in a sunlit workshop',
  'by a slow river',
  'under a stone bridge',
  'on a windy beach',
  'in a quiet village square',
  'among autumn leaves',
  'at a night market',
  'in a misty valley',
  'on a frozen lake',
  'in a botanical garden',
] as const
const MOTIONS = [
  'moving slowly from left to right',
  'turning towards the camera',
  'coming closer',
  'moving away into the distance',
  'pausing, then going on',
  'passing behind a tree',
  'while the wind picks up',
  'while clouds race overhead',
  'as light rain begins',
  'as the sun breaks through',
] as const
const CAMERAS = [
  'static camera',
  'slow pan',
  'tracking shot',
  'slow zoom in',
  'low angle',
  'aerial view',
  'handheld camera',
  'close-up',
] as const
const LIGHTS = [
  'golden hour',
  'overcast daylight',
  'blue dusk',
  'hard noon light',
  'lamp light',
  'backlit',
  'soft morning fog',
  'moonlight',
] as const

/** One of two hundred thousand prompts: too many to prepare answers for. */
export const drawPrompt = (rng: Rng): string =>
  `${pick(rng, SUBJECTS)} ${pick(rng, PLACES)}, ${pick(rng, MOTIONS)}, ${pick(rng, CAMERAS)}, ${pick(rng, LIGHTS)}`
