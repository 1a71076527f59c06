/** A file that a loader takes when there is no task to bring one. */
export interface StandIn {
  /** The input of the loader that names it. */
  readonly input: string
  readonly name: string
  readonly bytes: Uint8Array
}

/** One black pixel. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC'

/** By the class of the loader. */
export const STAND_INS: Readonly<Partial<Record<string, StandIn>>> = {
  LoadImage: {
    input: 'image',
    name: 'subreel-warm-up.png',
    bytes: Buffer.from(PNG, 'base64'),
  },
  LoadAudio: { input: 'audio', name: 'subreel-warm-up.wav', bytes: silence(16_000) },
}

/** A second of silence: WAV, one channel of 16 bits. */
function silence(rate: number): Buffer {
  const samples = 2 * rate
  const wav = Buffer.alloc(44 + samples)
  wav.write('RIFF', 0)
  wav.writeUInt32LE(36 + samples, 4)
  wav.write('WAVEfmt ', 8)
  wav.writeUInt32LE(16, 16)
  wav.writeUInt16LE(1, 20)
  wav.writeUInt16LE(1, 22)
  wav.writeUInt32LE(rate, 24)
  wav.writeUInt32LE(2 * rate, 28)
  wav.writeUInt16LE(2, 32)
  wav.writeUInt16LE(16, 34)
  wav.write('data', 36)
  wav.writeUInt32LE(samples, 40)
  return wav
}
