// Which buffers of a job's output are moved to the caller instead of being copied.

/**
 * The buffers in `value`, each once: those of typed arrays, and those that lie bare, at any depth of arrays,
 * plain objects, maps and sets. Left out is what cannot be moved: shared memory, and the pool that Node cuts
 * small `Buffer`s from (a `Buffer` that covers all of its memory is none of these).
 */
export function movableBuffers(value: unknown): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>()
  const pooled = new Set<ArrayBuffer>()
  const seen = new Set<object>()
  const waiting: unknown[] = [value]
  while (waiting.length > 0) {
    const next = waiting.pop()
    if (typeof next !== "object" || next === null || seen.has(next)) continue
    seen.add(next)
    if (next instanceof ArrayBuffer) buffers.add(next)
    else if (ArrayBuffer.isView(next)) {
      if (!(next.buffer instanceof ArrayBuffer)) continue
      buffers.add(next.buffer)
      if (Buffer.isBuffer(next) && next.byteLength !== next.buffer.byteLength) pooled.add(next.buffer)
    } else if (next instanceof Map) waiting.push(...next.keys(), ...next.values())
    else if (next instanceof Set || Array.isArray(next)) for (const item of next) waiting.push(item)
    else for (const item of Object.values(next)) waiting.push(item)
  }
  return [...buffers].filter((buffer) => !pooled.has(buffer))
}
