// What workers tell the demo. Plain data over the channel of child processes.

/** How far a worker is in its share: the texts before `text` and the lines before `line` are counted. */
export interface Position {
  readonly text: number
  readonly line: number
  /** Words up to here. */
  readonly words: number
}

export type WorkerMessage =
  /** The worker has put a state back (version 0: it began with none) and goes on from its position. */
  | {
      readonly kind: "begins"
      readonly version: number
      readonly position: Position
      readonly because: string
    }
  /** Counted up to here, in the newest state; `version` is the newest version. */
  | { readonly kind: "goes on"; readonly version: number; readonly position: Position }
  /** The whole share is counted, and in a version. The worker stays, in case the state is rolled back. */
  | { readonly kind: "counted"; readonly version: number; readonly position: Position }

/** What a worker is started with. */
export interface WorkerTask {
  readonly address: string
  readonly store: string
  readonly partition: number
  readonly workers: number
  /** How long the share lasts when nothing goes wrong: the input comes at the pace of a live stream. */
  readonly seconds: number
}
