// The one door to where versions live: a flat map from keys to objects. Keys are `a/b/c` with segments of
// `[A-Za-z0-9._-]`, none of them `.` or `..`. An object is there whole or not at all, and never changes.

export interface ObjectSummary {
  readonly key: string
  readonly bytes: number
  readonly modifiedMs: number
}

/** Every method rejects with EngineError `REPOSITORY_FAILED` (or `STORAGE_FULL`) when the store fails. */
export interface ObjectStore {
  /** Where this is, for messages: `file:/data/repository`. */
  readonly url: string
  /**
   * The object, or its bytes `[offset, offset + bytes)`; `undefined` when there is none. Fewer bytes than
   * asked for come back only when the object ends before. The caller owns the result.
   */
  get(key: string, range?: { offset: number; bytes: number }): Promise<Uint8Array | undefined>
  /**
   * Creates an object from parts in order; durable when this resolves. Resolves false, and changes nothing,
   * when the key exists already. The parts are left alone until then. When it rejects, the object may be there
   * all the same, also later.
   */
  create(key: string, parts: readonly Uint8Array[]): Promise<boolean>
  /**
   * All objects whose key starts with `prefix`, sorted by key: those that were there all the time, and perhaps some that
   * came or went meanwhile. Where an object was removed after one of a higher key was there, one of the two is listed.
   */
  list(prefix: string): Promise<ObjectSummary[]>
  /** Removes an object. One that is missing is no error. */
  remove(key: string): Promise<void>
  /** Frees connections; a store that has some fails the calls that are under way, and later ones. */
  close(): Promise<void>
}
