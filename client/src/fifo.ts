// A queue whose head is taken in constant time; an array's own `shift` moves all that is behind it once the
// array is large.

const COMPACT_AT = 1024

export class Fifo<Item> {
  #items: (Item | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  /** The first item, which stays. */
  get first(): Item | undefined {
    return this.#items[this.#head]
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  /** Puts items in front, in their order. */
  pushFront(items: readonly Item[]): void {
    this.#items = [...items, ...(this.#items.slice(this.#head) as Item[])]
    this.#head = 0
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Takes all items, in order. */
  takeAll(): Item[] {
    const items = this.#items.slice(this.#head) as Item[]
    this.#items = []
    this.#head = 0
    return items
  }

  /** Drops the items for which `keep` is false; the others stay in order. */
  filter(keep: (item: Item) => boolean): void {
    this.#items = (this.#items.slice(this.#head) as Item[]).filter(keep)
    this.#head = 0
  }

  forEach(visit: (item: Item) => void): void {
    for (let at = this.#head; at < this.#items.length; at++) visit(this.#items[at] as Item)
  }
}
