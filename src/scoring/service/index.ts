export { createMetrics, type ScoringMetrics } from '../metrics.js'
export { SCORE_REQUEST, type ScoreRequest } from './request.js'
export {
  ScoreService,
  type ScoreServiceModules,
  type ScoreServiceOptions,
} from './score-service.js'
