// The bytes of one simulated file, twice: as a living process reads them, and as they are on the platters.
//
//   current   what reads answer
//   durable   what survives for certain: changes up to the last sync
//   pending   changes since then, in order; each sector of 512 bytes may have any prefix of those that touch it
//
// After power loss a sector therefore holds some state that it once had since the last sync, whatever its
// neighbours hold; the length, too, is one that the file once had. Between them lie zeros.

import type { SimulatedRandom } from "./simulated-random.ts"

export const SECTOR_BYTES = 512

type Change =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly length: number }

export class SimulatedFileContent {
  #current: Image
  #durable: Image
  #pending: Change[] = []
  /** Names that lead here; kept by the directory tree. */
  linkCount = 0
  modifiedMs = 0

  /** @param durable what is on the platters; becomes this file's own */
  constructor(durable: Image = new Image()) {
    this.#current = durable.copy()
    this.#durable = durable
  }

  get length(): number {
    return this.#current.length
  }

  get isSynced(): boolean {
    return this.#pending.length === 0
  }

  /** The same file on another disk, what is not durable included. */
  copy(): SimulatedFileContent {
    const copy = new SimulatedFileContent(this.#durable.copy())
    copy.#current = this.#current.copy()
    copy.#pending = [...this.#pending]
    copy.linkCount = this.linkCount
    copy.modifiedMs = this.modifiedMs
    return copy
  }

  /** Copies into `target` what lies at `offset`; returns the count of bytes. */
  read(target: Uint8Array, offset: number): number {
    const bytes = this.#current.view(offset, offset + target.length)
    target.set(bytes)
    return bytes.length
  }

  /** A copy of all bytes as reads answer them. */
  snapshot(): Uint8Array {
    return this.#current.view(0, this.#current.length).slice()
  }

  write(source: Uint8Array, offset: number): void {
    this.#change({ kind: "write", offset, bytes: new Uint8Array(source) })
  }

  truncate(length: number): void {
    this.#change({ kind: "truncate", length })
  }

  sync(): void {
    for (const change of this.#pending) this.#durable.apply(change)
    this.#pending = []
  }

  /** Makes what was written to `[start, end)` durable. Pending truncations are changes of all of it: then everything. */
  syncRange(start: number, end: number): void {
    if (this.#pending.some(({ kind }) => kind === "truncate")) {
      this.sync()
      return
    }
    const kept: Change[] = []
    for (const change of this.#pending) {
      if (change.kind === "truncate") continue
      const changeEnd = change.offset + change.bytes.length
      const part = (from: number, to: number): Change[] => {
        const [first, last] = [Math.max(from, change.offset), Math.min(to, changeEnd)]
        if (first >= last) return []
        const bytes = change.bytes.subarray(first - change.offset, last - change.offset)
        return [{ kind: "write", offset: first, bytes }]
      }
      for (const synced of part(start, end)) this.#durable.apply(synced)
      kept.push(...part(0, start), ...part(end, Number.POSITIVE_INFINITY))
    }
    this.#pending = kept
  }

  /** What a failed sync does: the pending changes will never be durable, although reads still answer them. */
  loseUnsynced(): void {
    this.#pending = []
  }

  /** Damages the medium: both images. */
  flip(bitIndex: number): void {
    this.#current.flip(bitIndex)
    this.#durable.flip(bitIndex)
  }

  /** Damages the medium: both images, at once. */
  cut(length: number): void {
    this.#current.apply({ kind: "truncate", length })
    this.#durable.apply({ kind: "truncate", length })
    this.#pending = []
  }

  /** What power loss leaves, by chance: all changes, none, or for each sector its own share. */
  survive(random: SimulatedRandom): SimulatedFileContent {
    const mood = random.integer(4)
    const image = this.#durable.copy()
    if (mood === 0 || this.#pending.length === 0) return new SimulatedFileContent(image)
    if (mood === 1) for (const change of this.#pending) image.apply(change)
    else this.#tear(image, random)
    return new SimulatedFileContent(image)
  }

  /** Applies to each sector the first few of the changes, their count by chance; to the length likewise. */
  #tear(image: Image, random: SimulatedRandom): void {
    const sharesBySector = new Map<number, number>()
    const shareOf = (sector: number): number => {
      let share = sharesBySector.get(sector)
      if (share === undefined) {
        share = random.integer(this.#pending.length + 1)
        sharesBySector.set(sector, share)
      }
      return share
    }
    const lengthShare = random.integer(this.#pending.length + 1)
    let length = image.length
    for (const [index, change] of this.#pending.entries()) {
      const [start, end] = extent(change, image.length)
      for (let at = start; at < end; at = sectorEnd(at)) {
        if (index >= shareOf(Math.floor(at / SECTOR_BYTES))) continue
        const partEnd = Math.min(end, sectorEnd(at))
        const part =
          change.kind === "write"
            ? change.bytes.subarray(at - change.offset, partEnd - change.offset)
            : new Uint8Array(partEnd - at)
        image.apply({ kind: "write", offset: at, bytes: part })
      }
      if (index < lengthShare) length = lengthAfter(change, length)
    }
    image.apply({ kind: "truncate", length })
  }

  #change(change: Change): void {
    this.#pending.push(change)
    this.#current.apply(change)
  }
}

/** The bytes `[start, end)` that `change` sets; a truncation sets to zero what lies behind the new end. */
function extent(change: Change, length: number): [start: number, end: number] {
  if (change.kind === "write") return [change.offset, change.offset + change.bytes.length]
  return [change.length, Math.max(change.length, length)]
}

function lengthAfter(change: Change, length: number): number {
  return change.kind === "truncate" ? change.length : Math.max(length, extent(change, length)[1])
}

function sectorEnd(offset: number): number {
  return (Math.floor(offset / SECTOR_BYTES) + 1) * SECTOR_BYTES
}

/** Bytes that grow; all behind `length` are zero. Copies share their bytes until one of them changes. */
class Image {
  #buffer: Uint8Array = new Uint8Array(0)
  #isShared = false
  length = 0

  copy(): Image {
    const copy = new Image()
    copy.#buffer = this.#buffer
    copy.length = this.length
    copy.#isShared = true
    this.#isShared = true
    return copy
  }

  view(start: number, end: number): Uint8Array {
    return this.#buffer.subarray(Math.min(start, this.length), Math.min(end, this.length))
  }

  apply(change: Change): void {
    const length = lengthAfter(change, this.length)
    this.#own(length)
    if (change.kind === "write") this.#buffer.set(change.bytes, change.offset)
    else if (length < this.length) this.#buffer.fill(0, length, this.length)
    this.length = length
  }

  flip(bitIndex: number): void {
    const at = Math.floor(bitIndex / 8)
    if (at >= this.length) return
    this.#own(this.length)
    this.#buffer[at]! ^= 1 << (bitIndex % 8)
  }

  /** Makes the bytes this image's own, with room for `length`. */
  #own(length: number): void {
    if (length <= this.#buffer.length && !this.#isShared) return
    const growsTo = length > this.#buffer.length ? this.#buffer.length * 2 : this.#buffer.length
    const own = new Uint8Array(Math.max(length, growsTo))
    own.set(this.#buffer)
    this.#buffer = own
    this.#isShared = false
  }
}
