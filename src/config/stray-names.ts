/** Prefixes of names that speak of nothing but stores; the second is a slip that is common in guides. */
const STORE_NAME = /^(BUCKET|BUTKET|MINER_STORAGE)_/

/** What Kubernetes' object bucket claims set besides what is read. */
const NOT_OURS = new Set(['BUCKET_HOST', 'BUCKET_PORT', 'BUCKET_SUBREGION'])

/** Settings of the reference miner that have no counterpart. */
const NOT_NEEDED: Readonly<Record<string, string>> = {
  MINER_STORAGE_CLEANUP_PREFIXES: 'results are deleted wherever they are',
  MINER_STORAGE_OBJECT_TTL_SECONDS:
    'results are deleted when their URL ends (BUCKET_EXPIRY_SECONDS)',
}

/** Problems with names of stores that nothing reads: a bucket that is set in vain must not pass unnoticed. */
export function strayStoreNames(
  env: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): string[] {
  const candidates = known.filter((name) => STORE_NAME.test(name))
  return Object.keys(env)
    .filter((name) => STORE_NAME.test(name) && env[name] !== '')
    .filter((name) => !known.includes(name) && !NOT_OURS.has(name))
    .map((name) => {
      const why = NOT_NEEDED[name] ?? `did you mean ${mostAlike(name, candidates)}?`
      return `${name} is not read: ${why}`
    })
}

/** The name that shares most of its words. */
function mostAlike(name: string, candidates: readonly string[]): string {
  const words = (text: string) => new Set(text.replace('BUTKET', 'BUCKET').split('_'))
  const wanted = words(name)
  const likeness = (candidate: string) => {
    const own = words(candidate)
    const shared = [...own].filter((word) => wanted.has(word)).length
    return shared / (own.size + wanted.size - shared)
  }
  return [...candidates].sort((a, b) => likeness(b) - likeness(a))[0] ?? ''
}
