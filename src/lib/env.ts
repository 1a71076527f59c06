/**
 * The environment of child processes: a search path, a neutral locale and nothing else. Secrets in
 * our own environment must not reach a decoder that reads a stranger's file.
 */
export function childEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  const libraries = process.env['LD_LIBRARY_PATH']
  return {
    PATH: path,
    LC_ALL: 'C',
    ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries }),
    ...extra,
  }
}

/**
 * Keeps CUDA from computing convolutions with 10 mantissa bits. Must run before anything loads CUDA;
 * the driver reads it from the environment of the process, there is no other way from JavaScript.
 */
export function disableTf32(): void {
  process.env['NVIDIA_TF32_OVERRIDE'] = '0'
}
