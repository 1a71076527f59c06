/** A dendrite that announces at least this sends unix time as its nonce. */
export const UNIX_NONCE_VERSION = 7_002_000

/** The SDK whose behaviour this package follows, and which it announces. */
export const WIRE_VERSION = versionInt(10, 5, 0)

/** The SDK's version integer: `major*10^6 + minor*10^3 + patch`. @throws RangeError for parts outside 0..999 */
export function versionInt(major: number, minor: number, patch: number): number {
  for (const part of [major, minor, patch]) {
    if (!Number.isInteger(part) || part < 0 || part > 999) {
      throw new RangeError(`version parts must be integers in 0..999, got ${part}`)
    }
  }
  return major * 1_000_000 + minor * 1_000 + patch
}
