// pm2 start ecosystem.config.cjs --only video-miner,video-upscaler,…
// Settings come from the environment or a TOML file (SUBREEL_CONFIG); see docs/operations/env.md.
const app = (name, script, extra = {}) => ({
  name,
  script,
  cwd: __dirname,
  exec_mode: 'fork',
  instances: 1,
  autorestart: true,
  // Eleven crashes in a row and it stays down: somebody must look.
  max_restarts: 10,
  min_uptime: '10s',
  restart_delay: 1000,
  // Above shutdown.grace_seconds (30): running work is finished, not killed.
  kill_timeout: 45_000,
  time: false,
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
