// Health check of every image: the process is alive. Whether it can work is /readyz, which a
// restart does not mend: a miner whose Redis is away should wait for it, not be killed.
const port = process.env.SUBREEL_ADMIN_PORT ?? '9464'
const answer = await fetch(`http://127.0.0.1:${port}/livez`, {
  signal: AbortSignal.timeout(4000),
}).catch((error) => ({ ok: false, status: error.cause?.code ?? error.name }))
if (!answer.ok) {
  process.stderr.write(`/livez: ${answer.status}\n`)
  process.exitCode = 1
}
