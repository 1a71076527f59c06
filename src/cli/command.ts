/** Where a command writes and what it may use. Tests pass their own. */
export interface CommandIo {
  /** A line for the user (standard output). */
  out(line: string): void
  /** A line about what went wrong (standard error). */
  err(line: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal
}

/** One verb of `subreel`. */
export interface Command {
  /** One line for the list of verbs. */
  readonly summary: string
  /** Full text of `subreel VERB --help`. */
  readonly usage: string
  /**
   * Runs with the words after the verb. Returns the exit code: 0 done, 1 the answer is "no" or the
   * work failed, 2 bad arguments. Thrown errors print as `CODE: message` and exit 1 (2 for usage).
   */
  run(argv: readonly string[], io: CommandIo): Promise<number>
}
