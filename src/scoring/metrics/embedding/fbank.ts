/**
 * Log mel filter bank of a mono signal, as Kaldi computes it and torchaudio.compliance.kaldi.fbank with
 * window_type=hanning, dither=0, use_energy=False: frames of 25 ms every 10 ms, only whole ones, mean of the
 * frame removed, pre-emphasis 0.97, power spectrum of 512 points at 16 kHz.
 *
 * @returns [frames, melBins] flat, natural logarithms
 */
export function logMelFilterBank(
  signal: Float32Array,
  sampleRate: number,
  melBins: number,
): { readonly frames: number; readonly values: Float32Array } {
  const length = Math.floor(sampleRate * 0.025)
  const shift = Math.floor(sampleRate * 0.01)
  const frames = signal.length < length ? 0 : 1 + Math.floor((signal.length - length) / shift)
  const size = 2 ** Math.ceil(Math.log2(length))
  const window = Float64Array.from(
    { length },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (length - 1)),
  )
  const filters = melFilters(melBins, size, sampleRate)
  const values = new Float32Array(frames * melBins)
  const [re, im] = [new Float64Array(size), new Float64Array(size)]
  for (let frame = 0; frame < frames; frame += 1) {
    const part = signal.subarray(frame * shift, frame * shift + length)
    const mean = part.reduce((sum, value) => sum + value, 0) / length
    re.fill(0)
    im.fill(0)
    for (let i = 0; i < length; i += 1) {
      const own = (part[i] ?? 0) - mean
      const before = (part[Math.max(0, i - 1)] ?? 0) - mean
      re[i] = (own - 0.97 * before) * (window[i] ?? 0)
    }
    transform(re, im)
    for (const [bin, { first, weights }] of filters.entries()) {
      let energy = 0
      for (const [i, weight] of weights.entries()) {
        const [x, y] = [re[first + i] ?? 0, im[first + i] ?? 0]
        energy += weight * (x * x + y * y)
      }
      values[frame * melBins + bin] = Math.log(Math.max(energy, 1.1920928955078125e-7))
    }
  }
  return { frames, values }
}

const mel = (hertz: number) => 1127 * Math.log(1 + hertz / 700)

/** Triangles on the mel scale from 20 Hz to half the sample rate. */
function melFilters(bins: number, size: number, sampleRate: number) {
  const low = mel(20)
  const step = (mel(sampleRate / 2) - low) / (bins + 1)
  return Array.from({ length: bins }, (_, bin) => {
    const left = low + bin * step
    const weights: number[] = []
    let first = 0
    for (let i = 0; i < size / 2; i += 1) {
      const at = mel((i * sampleRate) / size)
      const weight = Math.min((at - left) / step, (left + 2 * step - at) / step)
      if (weight <= 0) continue
      if (weights.length === 0) first = i
      weights.push(weight)
    }
    return { first, weights }
  })
}

/** Fourier transform in place; the length is a power of two. */
function transform(re: Float64Array, im: Float64Array): void {
  const size = re.length
  for (let i = 1, j = 0; i < size; i += 1) {
    let bit = size >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i < j) {
      swap(re, i, j)
      swap(im, i, j)
    }
  }
  for (let half = 1; half < size; half *= 2) {
    const angle = -Math.PI / half
    for (let k = 0; k < half; k += 1) {
      const [cos, sin] = [Math.cos(angle * k), Math.sin(angle * k)]
      for (let i = k; i < size; i += 2 * half) {
        const [x, y] = [re[i + half] ?? 0, im[i + half] ?? 0]
        const [tx, ty] = [x * cos - y * sin, x * sin + y * cos]
        const [ux, uy] = [re[i] ?? 0, im[i] ?? 0]
        re[i + half] = ux - tx
        im[i + half] = uy - ty
        re[i] = ux + tx
        im[i] = uy + ty
      }
    }
  }
}

function swap(values: Float64Array, i: number, j: number): void {
  const kept = values[i] ?? 0
  values[i] = values[j] ?? 0
  values[j] = kept
}
