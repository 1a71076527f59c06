// pm2 start ecosystem.config.cjs --only video-miner,video-upscaler,…
// Settings come from the environment or a TOML file (SUBREEL_CONFIG); see docs/operations/env.md.
const app = (name, script, extra = {}) => ({
  name,
  script,
  cwd: __dirname,
  exec_mode: 'fork',
  instances: 1,
  autorestart: true,
  // Ten restarts; at the eleventh crash it stays down, 'errored': somebody must look. A crash counts
  // within min_uptime of its start, and for max_restarts * min_uptime (11 days) from the last time
  // that somebody started the app: later crashes pm2 restarts for ever.
  max_restarts: 11,
  min_uptime: '24h',
  // No restart_delay: with one, pm2 shows what it gave up as 'waiting restart' for ever.
  // Above shutdown.grace_seconds (30): running work is finished, not killed.
  kill_timeout: 45_000,
  // The signal goes to the process alone: its ffmpeg children must finish the work under way.
  treekill: false,
  time: false,
  // pm2's own probe keeps the process alive after its end: a bad setting would look "online".
  pmx: false,
  // One log per name, without the number of the process.
  merge_logs: true,
  ...extra,
})

module.exports = {
  apps: [
    app('video-miner', 'dist/miner.js', { args: process.env.MINER_ARGS ?? '' }),
    app('video-upscaler', 'dist/services/upscaler/main.js'),
    app('video-compressor', 'dist/services/compressor/main.js'),
    app('video-deleter', 'dist/services/deleter/main.js'),
    app('video-validator', 'dist/validator.js', { args: process.env.VALIDATOR_ARGS ?? '' }),
    app('video-scorer', 'dist/services/scorer/main.js'),
    app('video-gateway', 'dist/services/gateway/main.js'),
  ],
}
