// The report: one HTML file with its videos and charts inside, so that it opens without a network.
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Corpus } from '../../dist/corpus/index.js'
import { Secret } from '../../dist/lib/secret.js'
import { ComfyClient, parseComfyServers } from '../../dist/media/comfyui/index.js'
import { isPackage, readPackage } from '../../dist/media/package/index.js'
import { SHIPPED_WORKFLOWS, WorkflowStore } from '../../dist/workflows/index.js'

const run = promisify(execFile)

/** Every round with its scores, its answers as far as they can still be fetched, and its reference made again from the plan. */
export async function collectRounds(db, corpusDir, workDir, comfy) {
  await mkdir(workDir, { recursive: true })
  const corpus = await Corpus.open(corpusDir)
  const rows = await db
    .selectFrom('rounds')
    .selectAll()
    .where('status', '=', 'committed')
    .orderBy('started_at')
    .execute()
  const rounds = []
  for (const row of rows) {
    const plan = JSON.parse(row.plan)
    // A sample of a user's work has no challenge of the corpus to make again.
    if (row.round_id.startsWith('organic-')) continue
    const reference = join(workDir, `${row.round_id}-reference.mp4`)
    const payload = join(workDir, `${row.round_id}-payload.mp4`)
    if (plan.task.kind === 'generation') await generateAgain(plan, comfy, reference)
    else if (plan.task.kind === 'compression')
      await corpus.compression(plan.clipId, plan.cut, reference)
    else
      await corpus.upscaling(plan.clipId, plan.cut, plan.task.scale, plan.task.degradation, {
        reference,
        payload,
      })
    const scores = await db
      .selectFrom('scores')
      .selectAll()
      .where('round_id', '=', row.round_id)
      .orderBy('uid')
      .execute()
    rounds.push({
      id: row.round_id,
      kind: row.kind,
      task: plan.task,
      reference: await readFile(reference),
      scores: await Promise.all(
        scores.map(async (score) => ({
          ...score,
          record: score.record === null ? undefined : JSON.parse(score.record),
          video: await shown(
            await fetched(score.result_url),
            join(workDir, `${row.round_id}-${score.uid}`),
          ),
        })),
      ),
    })
  }
  return rounds
}

/** Runs a round's workflow once more, for its only video. */
async function generateAgain({ task, values }, servers, output) {
  const workflow = (await WorkflowStore.open(SHIPPED_WORKFLOWS)).get(task.workflow).fill(values)
  const { COMFYUI_SERVERS = '', COMFYUI_TOKENS = '' } = process.env
  const tokens = COMFYUI_SERVERS === '' ? [] : COMFYUI_TOKENS.split(',')
  const [server] = parseComfyServers(
    servers.split(','),
    tokens.map((token) => new Secret(token)),
  )
  const client = new ComfyClient({ server })
  const signal = AbortSignal.timeout(60_000)
  try {
    const run = await client.run(workflow, { signal })
    await client.download(run, run.outputs[0], output, { maxBytes: 1e8, signal })
  } finally {
    await client.close()
  }
}

/** Players differ in what they decode; the report shows every result as H.264, near lossless. */
async function shown(bytes, path) {
  if (bytes === undefined) return undefined
  const output = `${path}.h264.mp4`
  await writeFile(path, bytes)
  try {
    const input = await videoOf(path)
    const args = [
      '-v',
      'error',
      '-nostdin',
      '-y',
      '-i',
      input,
      '-an',
      '-c:v',
      'libx264',
      '-crf',
      '14',
    ]
    await run('ffmpeg', [...args, '-pix_fmt', 'yuv420p', '-movflags', '+faststart', output])
    return await readFile(output)
  } catch {
    return undefined
  }
}

/** A generated result comes as a package, or as its only file. */
async function videoOf(path) {
  if (!(await isPackage(path))) return path
  const folder = `${path}.files`
  await mkdir(folder)
  const { files } = await readPackage(path, folder)
  return files[0].path
}

async function fetched(url) {
  if (url === null) return undefined
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
    return response.ok ? Buffer.from(await response.arrayBuffer()) : undefined
  } catch {
    return undefined
  }
}

const html = (text) =>
  String(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
const dataUrl = (bytes) => `data:video/mp4;base64,${bytes.toString('base64')}`
const player = (bytes, label) =>
  bytes === undefined
    ? `<figure class="none"><div>no video</div><figcaption>${html(label)}</figcaption></figure>`
    : `<figure><video src="${dataUrl(bytes)}" controls loop muted playsinline preload="auto"></video><figcaption>${html(label)}</figcaption></figure>`

/** Per-frame VMAF and NEG as two lines; 0 to 100 upwards. */
function chart(record, threshold) {
  const series = [
    { name: 'VMAF', values: record?.metrics?.vmaf?.frames, css: 'base' },
    { name: 'VMAF NEG', values: record?.metrics?.vmafNeg?.frames, css: 'neg' },
  ].filter(({ values }) => Array.isArray(values) && values.length > 1)
  if (series.length === 0) return ''
  const [w, h, left, bottom] = [320, 120, 28, 16]
  const y = (value) => (h - bottom) * (1 - value / 100) + 4
  const line = ({ values, css }) => {
    const points = values.map(
      (value, i) =>
        `${(left + ((w - left - 4) * i) / (values.length - 1)).toFixed(1)},${y(value).toFixed(1)}`,
    )
    return `<polyline class="${css}" points="${points.join(' ')}"/>`
  }
  const ticks = [0, 50, 100].map(
    (v) =>
      `<line class="grid" x1="${left}" x2="${w}" y1="${y(v)}" y2="${y(v)}"/><text x="${left - 4}" y="${y(v) + 4}" text-anchor="end">${v}</text>`,
  )
  const limit =
    threshold === undefined
      ? ''
      : `<line class="limit" x1="${left}" x2="${w}" y1="${y(threshold)}" y2="${y(threshold)}"/>`
  return `<svg viewBox="0 0 ${w} ${h + 8}" role="img" aria-label="VMAF per frame">${ticks.join('')}${limit}${series.map(line).join('')}<text x="${left}" y="${h + 4}">frame 0</text><text x="${w}" y="${h + 4}" text-anchor="end">${series[0].values.length - 1}</text></svg>`
}

const STYLE = `
:root{color-scheme:light dark;--ink:#16181d;--dim:#5b6270;--line:#d9dde5;--card:#fff;--page:#f4f5f8;--good:#13795b;--bad:#b3261e;--base:#8a93a6;--neg:#2f5fd0}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaf0;--dim:#9aa3b5;--line:#333947;--card:#1c2029;--page:#12151b;--good:#4cc38a;--bad:#ff8a80;--base:#7d8699;--neg:#7aa2ff}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1200px;margin:auto;padding:24px 16px 64px}h1{margin:0 0 4px;font-size:28px}h2{margin:40px 0 12px;font-size:20px}p{margin:4px 0;color:var(--dim)}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;margin:12px 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:8px 12px;border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--dim);font-weight:600}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{height:10px;margin-top:7px;border-radius:5px;background:var(--neg);min-width:2px}.good{color:var(--good)}.bad{color:var(--bad)}
.videos{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:12px}figure{margin:0}video,.none div{width:100%;aspect-ratio:16/9;background:#000;border-radius:6px;display:grid;place-items:center;color:#888;object-fit:contain}figcaption{font-size:14px;color:var(--dim);margin-top:4px}
svg{width:100%;height:auto;font:11px system-ui;margin-top:6px}svg text{fill:var(--dim)}.grid{stroke:var(--line)}polyline{fill:none;stroke-width:1.6}.base{stroke:var(--base)}.neg{stroke:var(--neg)}.limit{stroke:var(--bad);stroke-dasharray:4 3}
td.why{min-width:220px}td.share{width:30%;min-width:90px}
@media(max-width:640px){h2{margin-top:28px}tr{display:block;border-bottom:1px solid var(--line);padding:8px 0}tr:last-child{border:0}td{display:inline-block;border:0;padding:2px 10px 2px 0}td:empty,tr:has(th){display:none}td.why{display:block;min-width:0;color:var(--dim)}td.share{display:block;width:100%}.videos{grid-template-columns:1fr 1fr}}
.key{font-size:14px}.key i{display:inline-block;width:16px;height:3px;vertical-align:middle;margin:0 6px 0 12px}
`

/** Writes report.html into `out` and returns its path. */
export async function writeReport({ out, rounds, miners, weights, promises, seconds }) {
  const total = [...weights.values()].reduce((sum, value) => sum + value, 0)
  const nameOf = (uid) => miners.find((miner) => miner.uid === uid)?.name ?? `uid ${uid}`
  const ranking = [...miners].sort((a, b) => (weights.get(b.uid) ?? 0) - (weights.get(a.uid) ?? 0))
  const rows = ranking.map((miner) => {
    const share = total === 0 ? 0 : (weights.get(miner.uid) ?? 0) / total
    return `<tr><td>${html(miner.name)}</td><td class="n">${miner.uid}</td><td class="n">${(100 * share).toFixed(1)} %</td><td class="share"><div class="bar" style="width:${(100 * share).toFixed(1)}%"></div></td><td class="why">${html(miner.what)}</td></tr>`
  })
  const kept = promises.map(
    ({ what, kept: ok, detail }) =>
      `<tr><td class="${ok ? 'good' : 'bad'}">${ok ? 'kept' : 'broken'}</td><td>${html(what)}</td><td class="why">${html(detail)}</td></tr>`,
  )
  const sections = rounds.map((round, i) => {
    const isGeneration = round.task.kind === 'generation'
    const threshold = round.task.kind === 'compression' ? round.task.vmafThreshold : undefined
    const asked = isGeneration
      ? round.task.workflow
      : threshold === undefined
        ? `${round.task.taskType}, ×${round.task.scale}`
        : `${round.task.codec}, VMAF ${threshold}, ${round.task.mode}`
    const table = round.scores.map(
      (s) =>
        `<tr><td>${html(nameOf(s.uid))}</td><td class="n ${s.score > 0 ? 'good' : 'bad'}">${s.score.toFixed(4)}</td><td>${html(s.outcome.replaceAll('_', ' '))}</td><td class="why">${html(s.reason)}</td></tr>`,
    )
    const videos = round.scores.map(
      (s) => `<div>${player(s.video, nameOf(s.uid))}${chart(s.record, threshold)}</div>`,
    )
    return `<h2>${i + 1}. ${html(round.kind)} <small>(${html(asked)})</small></h2><div class="card"><p>${html(round.id)}</p><div class="scroll"><table><tr><th>miner</th><th>score</th><th>outcome</th><th>reason</th></tr>${table.join('')}</table></div></div><div class="card"><div class="videos"><div>${player(round.reference, 'reference')}</div>${videos.join('')}</div></div>`
  })
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Subreel demo</title><style>${STYLE}</style><main><h1>Subreel demo</h1><p>${rounds.length} rounds, ${miners.length} miners, ${seconds.toFixed(0)} seconds.</p><h2>Weights on chain</h2><div class="card scroll"><table><tr><th>miner</th><th>uid</th><th>weight</th><th></th><th>what it does</th></tr>${rows.join('')}</table></div><h2>Promises</h2><div class="card scroll"><table>${kept.join('')}</table></div><p class="key">Charts: <i style="background:var(--neg)"></i>VMAF NEG per frame<i style="background:var(--base)"></i>VMAF<i style="background:var(--bad)"></i>threshold</p>${sections.join('')}</main></html>`
  await mkdir(out, { recursive: true })
  const path = join(out, 'report.html')
  await writeFile(path, page)
  return path
}
