// How much metadata an answer about many versions carries. One version may have 1 MiB of it, so that a list of them,
// or the partitions of a store, would not fit a message, and then nothing could be asked any more.

/** The part of a message that metadata may fill. */
const SHARE = 4

export class MetadataRoom {
  #bytes: number

  constructor(messageBytesMax: number) {
    this.#bytes = Math.floor(messageBytesMax / SHARE)
  }

  /** The fields of an answer: the metadata, or only its size when there is no room for it any more. */
  take(metadata: Uint8Array): { metadata: Uint8Array; metadataBytes: number } {
    const metadataBytes = metadata.length
    if (metadataBytes > this.#bytes) return { metadata: EMPTY, metadataBytes }
    this.#bytes -= metadataBytes
    return { metadata, metadataBytes }
  }
}

const EMPTY = new Uint8Array(0)
