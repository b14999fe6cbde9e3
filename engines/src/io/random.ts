// The one door to chance.

export interface Random {
  /** `count` random bytes, owned by the caller. Unique enough for identities. */
  bytes(count: number): Uint8Array
}
