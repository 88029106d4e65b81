/** When a write must end. */
export interface WriteGuard {
  /** Ends requests in progress. Dataverse may execute them all the same. */
  signal: AbortSignal;
  /**
   * Called after versions were read and before rows are written under them. Throws if the caller may no longer write.
   * A row that somebody else writes after that has another version, so the write fails instead of replacing it.
   */
  confirm?: () => void;
}
