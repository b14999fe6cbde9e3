// What a state remembers of the frames that it holds, as manifests and state files say it: which frames of a session
// were applied, so that a frame that is sent again is known, wherever the state is then.
//
//   table := entry*                at most 1024, each session once; base64
//   entry := session               16 bytes
//          | last u64              sequence of its newest frame, 1 to 2^53 - 1
//          | use u64               higher than that of every session that was used before
//          | outcomes              16 bytes: of the last 64 sequences 2 bits each
//
//   bits of sequence s: 2 × (s mod 64), the lowest bit of the first byte is 0
//   00 never came, or nothing is known   01 applied   10 a condition failed   11 refused
//
// Little-endian. A state that no session ever wrote to has no table.

import { z } from "zod"

export const SESSION_BYTES = 16
export const SESSION_ENTRY_BYTES = 48
/** Offsets in an entry. */
export const LAST_OFFSET = 16
export const USE_OFFSET = 24
export const OUTCOMES_OFFSET = 32
/** Sequences of a session of which it is known what came of them. */
export const OUTCOMES_KEPT = 64
/** Sessions that a partition knows; the one that was idle for longest is forgotten first. */
export const SESSIONS_MAX = 1024
export const SEQUENCE_MAX = Number.MAX_SAFE_INTEGER

export const savedSessions = z.strictObject({
  /** There were sessions that the table does not have. */
  hasForgotten: z.boolean(),
  table: z.string().refine(isTable, "a table of sessions that is malformed"),
})

export type SavedSessions = z.infer<typeof savedSessions>

/** Of a state whose records were written anew: it knows none of the frames that made them. */
export const FORGOTTEN_SESSIONS: SavedSessions = Object.freeze({ hasForgotten: true, table: "" })

/** The u64 at `offset`, if it is one that a table may have; otherwise NaN. */
export function readCount(view: DataView, offset: number): number {
  const count = view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true)
  return count <= SEQUENCE_MAX ? count : Number.NaN
}

export function writeCount(view: DataView, offset: number, count: number): void {
  view.setUint32(offset, count % 2 ** 32, true)
  view.setUint32(offset + 4, Math.floor(count / 2 ** 32), true)
}

function isTable(text: string): boolean {
  const bytes = Buffer.from(text, "base64")
  if (bytes.toString("base64") !== text || bytes.length % SESSION_ENTRY_BYTES !== 0) return false
  if (bytes.length > SESSIONS_MAX * SESSION_ENTRY_BYTES) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const names = new Set<string>()
  for (let at = 0; at < bytes.length; at += SESSION_ENTRY_BYTES) {
    names.add(bytes.toString("latin1", at, at + SESSION_BYTES))
    if (!(readCount(view, at + LAST_OFFSET) >= 1)) return false
    if (Number.isNaN(readCount(view, at + USE_OFFSET))) return false
  }
  return names.size * SESSION_ENTRY_BYTES === bytes.length
}
