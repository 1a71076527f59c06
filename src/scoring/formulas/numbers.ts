/** Arithmetic mean; 0 for no values. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : sum(values) / values.length
}

export function sum(values: readonly number[]): number {
  let total = 0
  for (const value of values) total += value
  return total
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

/** Into [0, 1]; NaN becomes 0, so that no unknown can ever earn anything. */
export function unit(value: number): number {
  return Number.isNaN(value) ? 0 : clamp(value, 0, 1)
}
