// Reads the groups of one segment, and tells what a crash has torn from what is damaged. Both are exact as long as a
// disk writes a sector of 512 bytes whole or not at all:
//
//   a sector        is all zeros (never written), or carries its checksum; anything else is damage
//   a group         is whole, or lacks sectors; only the very last one may lack any: it was being written when the
//                   machine stopped, and nobody was told that it was kept
//
//     │ group │ group │ gr··p │ 0 │ 0 │        torn: cut off          gr··p  a group of which sectors are zero
//     │ group │ gr··p │ group │ 0 │ 0 │        damage

import {
  ENTRY_HEADER_BYTES,
  logDamage,
  readSector,
  SECTOR_BYTES,
  SECTOR_HEADER_BYTES,
  SECTOR_PAYLOAD_BYTES,
  type SectorHeader,
  sectorsOf,
} from "./log-format.ts"

/** A whole group. */
export interface ScannedGroup {
  readonly first: number
  /** The entries' bytes, copied. */
  readonly entries: readonly Uint8Array[]
}

const ZEROS = Buffer.alloc(SECTOR_BYTES)

export class SegmentScan {
  readonly #bytes: Buffer
  readonly #seed: number
  readonly #path: string
  readonly #sectorCount: number
  #sector = 1
  #tornEnd = 0

  /** @param bytes of the file from its beginning, a whole number of sectors; the first is not looked at */
  constructor(bytes: Buffer, seed: number, path: string) {
    this.#bytes = bytes
    this.#seed = seed
    this.#path = path
    this.#sectorCount = bytes.length / SECTOR_BYTES
  }

  /** The next sector to be read; at the end of the groups, the first free one. */
  get sector(): number {
    return this.#sector
  }

  /** At the end of the groups: the sector behind the torn group that begins at `sector`, or 0 when none is torn. */
  get tornEnd(): number {
    return this.#tornEnd
  }

  /** The next whole group; undefined at the end. @throws EngineError `DATA_LOSS` */
  next(): ScannedGroup | undefined {
    const begin = this.#sector
    const seen = this.#nextWritten(begin)
    if (seen === undefined) return undefined
    const header = this.#read(seen)
    const count = sectorsOf(header.groupBytes)
    if (header.begin !== begin || seen >= begin + count || begin + count > this.#sectorCount) {
      throw this.#damage(
        begin,
        `a group begins at sector ${header.begin} that does not follow the one before`,
      )
    }
    let missing = 0
    for (let sector = begin; sector < begin + count; sector++) {
      if (this.#isZero(sector)) missing++
      else if (!isSame(this.#read(sector), header)) throw this.#damage(sector, "it belongs to another group")
    }
    if (missing > 0) {
      const behind = this.#nextWritten(begin + count)
      if (behind !== undefined) {
        throw this.#damage(begin, `${missing} sectors of a group are missing, and another group follows`)
      }
      this.#tornEnd = begin + count
      return undefined
    }
    this.#sector = begin + count
    return { first: header.first, entries: this.#entries(begin, header.groupBytes) }
  }

  #entries(begin: number, groupBytes: number): Uint8Array[] {
    const group = Buffer.allocUnsafe(groupBytes)
    for (let at = 0, sector = begin; at < groupBytes; at += SECTOR_PAYLOAD_BYTES, sector++) {
      const start = sector * SECTOR_BYTES + SECTOR_HEADER_BYTES
      this.#bytes.copy(group, at, start, start + Math.min(SECTOR_PAYLOAD_BYTES, groupBytes - at))
    }
    const entries: Uint8Array[] = []
    let at = 0
    while (at < groupBytes) {
      const start = at + ENTRY_HEADER_BYTES
      const length = start <= groupBytes ? group.readUInt32LE(at) : groupBytes
      if (length > groupBytes - start) throw this.#damage(begin, "an entry ends behind its group")
      entries.push(group.subarray(start, start + length))
      at = start + length
    }
    if (entries.length === 0) throw this.#damage(begin, "a group holds no entry")
    return entries
  }

  /** The first sector from `from` on that is not zero. */
  #nextWritten(from: number): number | undefined {
    for (let sector = from; sector < this.#sectorCount; sector++) if (!this.#isZero(sector)) return sector
    return undefined
  }

  #isZero(sector: number): boolean {
    const offset = sector * SECTOR_BYTES
    // Written sectors carry their number in bytes 4 to 8: nearly all are told by that.
    if (this.#bytes.readUInt32LE(offset + 4) !== 0) return false
    return this.#bytes.compare(ZEROS, 0, SECTOR_BYTES, offset, offset + SECTOR_BYTES) === 0
  }

  #read(sector: number): SectorHeader {
    const header = readSector(this.#bytes, sector * SECTOR_BYTES, sector, this.#seed)
    if (header === undefined) throw this.#damage(sector, "the checksum of a sector does not match")
    return header
  }

  #damage(sector: number, what: string): Error {
    return logDamage(this.#path, sector * SECTOR_BYTES, what)
  }
}

function isSame(a: SectorHeader, b: SectorHeader): boolean {
  return a.begin === b.begin && a.groupBytes === b.groupBytes && a.first === b.first
}
