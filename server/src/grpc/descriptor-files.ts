// The files of a FileDescriptorSet with the names that each defines: just enough of protobuf's wire format to
// answer reflection, which passes the files on as the bytes they are.
//
//   FileDescriptorSet    1 file*
//   FileDescriptorProto  1 name · 2 package · 3 dependency* · 4 message* · 5 enum* · 6 service* · 7 extension*
//   DescriptorProto      1 name · 2 field* · 3 nested* · 4 enum* · 6 extension*
//   others               1 name; ServiceDescriptorProto also 2 method*

export interface DescriptorFile {
  readonly name: string
  readonly bytes: Uint8Array
  readonly dependencies: readonly string[]
}

export class DescriptorFiles {
  readonly #files = new Map<string, DescriptorFile>()
  readonly #fileOfSymbol = new Map<string, string>()
  /** Full names, sorted. */
  readonly services: readonly string[]

  /** @param set our own descriptor set, made at build time: malformed bytes are a bug */
  constructor(set: Uint8Array) {
    const services: string[] = []
    for (const { number, bytes } of fields(set)) {
      if (number === 1) this.#addFile(bytes, services)
    }
    this.services = services.sort()
  }

  /** The file of this name and those it needs, itself first; undefined when it is unknown. */
  withDependencies(name: string): DescriptorFile[] | undefined {
    if (!this.#files.has(name)) return undefined
    const found = new Map<string, DescriptorFile>()
    const wanted = [name]
    for (let next = wanted.pop(); next !== undefined; next = wanted.pop()) {
      const file = this.#files.get(next)
      if (file === undefined || found.has(next)) continue
      found.set(next, file)
      wanted.push(...file.dependencies)
    }
    return [...found.values()]
  }

  /** Name of the file that defines the symbol, given by its full name. */
  fileOf(symbol: string): string | undefined {
    return this.#fileOfSymbol.get(symbol)
  }

  #addFile(file: Uint8Array, services: string[]): void {
    let name = ""
    let scope = ""
    const dependencies: string[] = []
    for (const { number, bytes } of fields(file)) {
      if (number === 1) name = text(bytes)
      else if (number === 2) scope = text(bytes)
      else if (number === 3) dependencies.push(text(bytes))
    }
    this.#files.set(name, { name, bytes: file, dependencies })
    for (const { number, bytes } of fields(file)) {
      if (number === 4) this.#addMessage(bytes, scope, name)
      else if (number === 5 || number === 7) this.#define(scope, bytes, name)
      else if (number === 6) {
        const service = this.#define(scope, bytes, name)
        services.push(service)
        this.#addMembers(bytes, service, name, [2])
      }
    }
  }

  #addMessage(message: Uint8Array, scope: string, file: string): void {
    const name = this.#define(scope, message, file)
    this.#addMembers(message, name, file, [2, 4, 6])
    for (const { number, bytes } of fields(message)) {
      if (number === 3) this.#addMessage(bytes, name, file)
    }
  }

  #addMembers(owner: Uint8Array, scope: string, file: string, numbers: readonly number[]): void {
    for (const { number, bytes } of fields(owner)) {
      if (numbers.includes(number)) this.#define(scope, bytes, file)
    }
  }

  #define(scope: string, descriptor: Uint8Array, file: string): string {
    const name = [...fields(descriptor)].find(({ number }) => number === 1)
    const own = name === undefined ? "" : text(name.bytes)
    const full = scope === "" ? own : `${scope}.${own}`
    this.#fileOfSymbol.set(full, file)
    return full
  }
}

const WIRE_VARINT = 0
const WIRE_FIXED64 = 1
const WIRE_BYTES = 2
const WIRE_FIXED32 = 5

/** The length-delimited fields of a message; others are passed over. */
function* fields(message: Uint8Array): Generator<{ number: number; bytes: Uint8Array }> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++]
      if (byte === undefined) throw new Error("descriptor set: cut off")
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const wire = tag % 8
    if (wire === WIRE_BYTES) {
      const bytes = varint()
      if (at + bytes > message.length) throw new Error("descriptor set: cut off")
      yield { number: Math.floor(tag / 8), bytes: message.subarray(at, at + bytes) }
      at += bytes
    } else if (wire === WIRE_VARINT) varint()
    else if (wire === WIRE_FIXED64) at += 8
    else if (wire === WIRE_FIXED32) at += 4
    else throw new Error("descriptor set: unknown wire type")
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8")
}
