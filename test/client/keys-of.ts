import { partitionOfKey } from "@varve/proto"

/** Keys of one partition, of four. */
export function keysOf(partition: number, count: number): string[] {
  const keys: string[] = []
  for (let n = 0; keys.length < count; n++) {
    if (partitionOfKey(Buffer.from(`key-${n}`), 4) === partition) keys.push(`key-${n}`)
  }
  return keys
}
