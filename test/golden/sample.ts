// A sample: one object of one format, made from fixed values by the encoder that writes the real ones. What it is kept
// for: that the encoder still makes these bytes, that a decoder reads them, and that a newer format is refused.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { encodeSealedJson } from "@varve/engines/internal"
import { SimulatedFileSystem } from "../simulation/index.ts"

/** A number that no format has yet. */
const NEWER = 99

export interface Sample {
  /** Of its file; what it says stands in `<name>.txt`. */
  readonly name: string
  /** How messages name it. */
  readonly called: string
  make(): Promise<Uint8Array> | Uint8Array
  /** What it says, as plain data. */
  read(source: Uint8Array): Promise<unknown> | unknown
  /** The same in a format of the future, checksums made right; undefined: it has no number of a format. */
  readonly newer: ((source: Uint8Array) => Uint8Array) | undefined
}

/** As the text beside a sample has it. */
export function textOf(value: unknown): string {
  const plain = (_key: string, each: unknown): unknown => {
    if (ArrayBuffer.isView(each) && !(each instanceof Uint8Array)) return Array.from(each as Uint32Array)
    return each instanceof Uint8Array ? Buffer.from(each).toString("hex") : each
  }
  return `${JSON.stringify(value, plain, 1)}\n`
}

/** A disk with one file, if there is one. */
export async function diskWith(path: string, content?: Uint8Array): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  await disk.makeDirectory(path.slice(0, path.lastIndexOf("/")))
  if (content === undefined) return disk
  const file = await disk.open(path, "create")
  await file.write(content, 0)
  await file.close()
  return disk
}

/** Sealed JSON of the next format. */
export function newerSealedJson(source: Uint8Array): Uint8Array {
  const [line] = Buffer.from(source).toString().split("\n")
  return encodeSealedJson({ ...(JSON.parse(line!) as object), format: NEWER })
}

/** `repository.json` of the next format. */
export function newerRoot(source: Uint8Array): Uint8Array {
  const [sealed] = Buffer.from(source)
    .toString()
    .replace('"format":1', `"format":${NEWER}`)
    .split(',"checksum"')
  return Buffer.from(`${sealed},"checksum":"${createHash("sha256").update(sealed!).digest("hex")}"}\n`)
}

/** Where a format of fixed fields has its number, and what its checksum covers. */
export interface FormatField {
  /** Where the fields begin; from the end of the object when it is negative. */
  readonly start: number
  readonly format: number
  readonly formatBytes: 2 | 4
  readonly crc: number
  /** `[from, to)` of the object. */
  readonly covered: readonly [number, number]
}

/** Bytes with another number of the format, and its checksum. All but `formatBytes` count from `start`. */
export function newerFields(source: Uint8Array, field: FormatField): Uint8Array {
  const bytes = Buffer.from(source)
  const start = field.start < 0 ? bytes.length + field.start : field.start
  bytes.writeUIntLE(NEWER, start + field.format, field.formatBytes)
  const [from, to] = field.covered
  bytes.writeUInt32LE(crc32(bytes.subarray(start + from, start + to)), start + field.crc)
  return bytes
}
