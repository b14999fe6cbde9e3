// Sorting many keys without holding the thread: chunks are sorted one a turn, then merged as they are asked for.

import type { Clock } from "../../io/clock.ts"
import type { ByteString } from "./layers.ts"

/** Keys sorted in one turn of the event loop: about 2 ms. */
const CHUNK_KEYS = 4096

/** A sorted chunk and how far it has been merged. */
interface Chunk {
  readonly keys: readonly ByteString[]
  next: number
}

/**
 * The keys in byte order. Collecting and sorting takes turns of the event loop; after that each key costs
 * O(log chunks).
 */
export async function sortKeys(keys: Iterable<ByteString>, clock: Clock): Promise<Iterable<ByteString>> {
  const chunks: Chunk[] = []
  let chunk: ByteString[] = []
  const finishChunk = async (): Promise<void> => {
    if (chunk.length === 0) return
    chunks.push({ keys: chunk.sort(compareStrings), next: 0 })
    chunk = []
    await clock.nextTurn()
  }
  for (const key of keys) {
    chunk.push(key)
    if (chunk.length === CHUNK_KEYS) await finishChunk()
  }
  await finishChunk()
  return mergeChunks(chunks)
}

/** A binary heap of chunks, ordered by their next key. */
function* mergeChunks(chunks: readonly Chunk[]): Generator<ByteString> {
  const heap = [...chunks].sort((a, b) => compareStrings(head(a), head(b)))
  while (heap.length > 0) {
    const first = heap[0]!
    yield head(first)
    first.next++
    if (first.next === first.keys.length) {
      const last = heap.pop()!
      if (heap.length === 0) return
      heap[0] = last
    }
    siftDown(heap)
  }
}

function siftDown(heap: Chunk[]): void {
  let at = 0
  for (;;) {
    const left = 2 * at + 1
    if (left >= heap.length) return
    const right = left + 1
    const child = right < heap.length && head(heap[right]!) < head(heap[left]!) ? right : left
    if (head(heap[at]!) <= head(heap[child]!)) return
    const moved = heap[at]!
    heap[at] = heap[child]!
    heap[child] = moved
    at = child
  }
}

function head(chunk: Chunk): ByteString {
  return chunk.keys[chunk.next]!
}

/** Code units of byte strings are bytes. */
function compareStrings(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0
}
