/**
 * Python difflib's `SequenceMatcher(None, a, b).ratio()` on code points, autojunk on: in a `b` of
 * 200 or more elements, one that makes up over 1 % of them starts no match.
 *
 * @returns 2·matches / (|a| + |b|), in [0, 1]; 1 for two empty texts
 * @example sequenceRatio('the quick brown fox', 'the quick fox') // 0.8125
 */
export function sequenceRatio(first: string, second: string): number {
  const a = [...first]
  const b = [...second]
  const total = a.length + b.length
  if (total === 0) return 1
  const positions = positionsOf(b)
  let matches = 0
  const pending: [number, number, number, number][] = [[0, a.length, 0, b.length]]
  for (let range = pending.pop(); range !== undefined; range = pending.pop()) {
    const [aLow, aHigh, bLow, bHigh] = range
    const match = longestMatch(a, b, positions, range)
    if (match.size === 0) continue
    matches += match.size
    pending.push([aLow, match.a, bLow, match.b])
    pending.push([match.a + match.size, aHigh, match.b + match.size, bHigh])
  }
  return (2 * matches) / total
}

function positionsOf(b: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const positions = new Map<string, number[]>()
  for (const [index, element] of b.entries()) {
    const list = positions.get(element)
    if (list === undefined) positions.set(element, [index])
    else list.push(index)
  }
  if (b.length >= 200) {
    const limit = Math.floor(b.length / 100) + 1
    for (const [element, list] of positions) if (list.length > limit) positions.delete(element)
  }
  return positions
}

function longestMatch(
  a: readonly string[],
  b: readonly string[],
  positions: ReadonlyMap<string, readonly number[]>,
  [aLow, aHigh, bLow, bHigh]: readonly [number, number, number, number],
): { a: number; b: number; size: number } {
  let best = { a: aLow, b: bLow, size: 0 }
  let lengths = new Map<number, number>()
  for (let i = aLow; i < aHigh; i += 1) {
    const next = new Map<number, number>()
    for (const j of positions.get(a[i] ?? '') ?? []) {
      if (j < bLow) continue
      if (j >= bHigh) break
      const size = (lengths.get(j - 1) ?? 0) + 1
      next.set(j, size)
      if (size > best.size) best = { a: i - size + 1, b: j - size + 1, size }
    }
    lengths = next
  }
  // Popular elements start no match but may extend one on either side.
  while (best.a > aLow && best.b > bLow && a[best.a - 1] === b[best.b - 1]) {
    best = { a: best.a - 1, b: best.b - 1, size: best.size + 1 }
  }
  while (
    best.a + best.size < aHigh &&
    best.b + best.size < bHigh &&
    a[best.a + best.size] === b[best.b + best.size]
  ) {
    best = { ...best, size: best.size + 1 }
  }
  return best
}
