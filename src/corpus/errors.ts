import { SubnetError } from '../lib/errors.js'

export type CorpusErrorData =
  /** The folder of clips holds no usable video, or cannot be read. Put at least one clip into it. */
  | { code: 'CORPUS_EMPTY'; folder: string }
  /** The clip named is not in the corpus. The corpus changed since the plan was drawn. */
  | { code: 'CORPUS_UNKNOWN_CLIP'; clip: string }

export class CorpusError extends SubnetError<CorpusErrorData> {}
