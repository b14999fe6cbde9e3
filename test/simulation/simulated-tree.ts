// The names of a simulated disk, twice as the bytes are: as a living process sees them, and as they survive.
//
// A change of names (a file made, linked, renamed, removed) is pending until the directory is synced. After power
// loss each pending change has happened or not, on its own, in whatever order they were made. A rename is one
// change: both its halves happen or neither, unless the directory of one half was synced alone.

import { assert, EngineError } from "@varve/engines/internal"
import { SimulatedFileContent } from "./simulated-file-content.ts"
import type { SimulatedRandom } from "./simulated-random.ts"

export class SimulatedDirectory {
  /** What a living process sees. */
  readonly names = new Map<string, SimulatedNode>()
  /** What survives for certain. */
  readonly durableNames = new Map<string, SimulatedNode>()
  /** The holder of its lock, when there is one. */
  lock: object | undefined
}

export type SimulatedNode = SimulatedFileContent | SimulatedDirectory

/** One name set or (without node) removed. */
interface NameChange {
  readonly directory: SimulatedDirectory
  readonly name: string
  readonly node: SimulatedNode | undefined
}

/** Where a path leads: its directory, its last name, and what stands there. */
export interface Place {
  readonly directory: SimulatedDirectory
  readonly name: string
  readonly node: SimulatedNode | undefined
}

export class SimulatedTree {
  readonly root: SimulatedDirectory
  /** Changes in order; each inner list happens as one. */
  #pending: NameChange[][] = []

  constructor(root: SimulatedDirectory = new SimulatedDirectory()) {
    this.root = root
  }

  /** The node at `path`; undefined when there is none. */
  find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.root
    for (const name of segments(path)) {
      if (!(node instanceof SimulatedDirectory)) return undefined
      node = node.names.get(name)
    }
    return node
  }

  /** The place of `path`, which is not the root; undefined when the directory above it does not exist. */
  place(path: string): Place | undefined {
    const names = segments(path)
    const name = names.pop()
    assert(name !== undefined, "the path is not the root")
    const directory = this.find(`/${names.join("/")}`)
    if (!(directory instanceof SimulatedDirectory)) return undefined
    return { directory, name, node: directory.names.get(name) }
  }

  /** Sets or removes names, as one change. */
  change(changes: readonly NameChange[]): void {
    for (const { directory, name, node } of changes) {
      const replaced = directory.names.get(name)
      if (replaced instanceof SimulatedFileContent) replaced.linkCount--
      if (node instanceof SimulatedFileContent) node.linkCount++
      if (node === undefined) directory.names.delete(name)
      else directory.names.set(name, node)
    }
    this.#pending.push([...changes])
  }

  /** Makes the pending changes in `directory` durable, and no others. */
  sync(directory: SimulatedDirectory): void {
    for (const changes of this.#pending) {
      for (const change of changes)
        if (change.directory === directory) applyTo(directory.durableNames, change)
    }
    this.#pending = this.#pending
      .map((changes) => changes.filter((change) => change.directory !== directory))
      .filter((changes) => changes.length > 0)
  }

  /** Paths of all files, sorted. */
  filePaths(): string[] {
    const paths: string[] = []
    const walk = (directory: SimulatedDirectory, path: string): void => {
      for (const [name, node] of directory.names) {
        if (node instanceof SimulatedDirectory) walk(node, `${path}/${name}`)
        else paths.push(`${path}/${name}`)
      }
    }
    walk(this.root, "")
    return paths.sort()
  }

  /** The tree that power loss leaves: new nodes, all of them durable. This tree stays as it is. */
  survive(random: SimulatedRandom): SimulatedTree {
    const mood = random.integer(4)
    const namesOf = new Map<SimulatedDirectory, Map<string, SimulatedNode>>()
    const surviving = (directory: SimulatedDirectory): Map<string, SimulatedNode> => {
      let names = namesOf.get(directory)
      if (names === undefined) {
        names = new Map(directory.durableNames)
        namesOf.set(directory, names)
      }
      return names
    }
    for (const changes of this.#pending) {
      const happened = mood === 0 ? false : mood === 1 ? true : random.oneIn(2)
      if (happened) for (const change of changes) applyTo(surviving(change.directory), change)
    }
    return this.#rebuild(surviving, (file) => file.survive(random))
  }

  /**
   * The tree that the end of a process leaves: all names and all bytes as reads answer them. What was not durable is
   * not durable yet: power may fail later. `copyOf` leads from a file here to the same one there.
   */
  copy(): { tree: SimulatedTree; copyOf: (file: SimulatedFileContent) => SimulatedFileContent } {
    const copies = new Map<SimulatedNode, SimulatedNode>()
    const copyOf = (node: SimulatedNode): SimulatedNode => {
      const known = copies.get(node)
      if (known !== undefined) return known
      const copy = node instanceof SimulatedDirectory ? new SimulatedDirectory() : node.copy()
      copies.set(node, copy)
      if (node instanceof SimulatedDirectory && copy instanceof SimulatedDirectory) {
        for (const [name, child] of node.names) copy.names.set(name, copyOf(child))
        for (const [name, child] of node.durableNames) copy.durableNames.set(name, copyOf(child))
      }
      return copy
    }
    const tree = new SimulatedTree(copyOf(this.root) as SimulatedDirectory)
    tree.#pending = this.#pending.map((changes) =>
      changes.map(({ directory, name, node }) => ({
        directory: copyOf(directory) as SimulatedDirectory,
        name,
        node: node === undefined ? undefined : copyOf(node),
      })),
    )
    return { tree, copyOf: copyOf as (file: SimulatedFileContent) => SimulatedFileContent }
  }

  #rebuild(
    namesOf: (directory: SimulatedDirectory) => Map<string, SimulatedNode>,
    survivorOf: (file: SimulatedFileContent) => SimulatedFileContent,
  ): SimulatedTree {
    // Two names of one file stay two names of one file.
    const files = new Map<SimulatedFileContent, SimulatedFileContent>()
    const rebuild = (node: SimulatedNode): SimulatedNode => {
      if (node instanceof SimulatedDirectory) {
        const copy = new SimulatedDirectory()
        for (const [name, child] of namesOf(node)) {
          const childCopy = rebuild(child)
          copy.names.set(name, childCopy)
          copy.durableNames.set(name, childCopy)
        }
        return copy
      }
      let copy = files.get(node)
      if (copy === undefined) {
        copy = survivorOf(node)
        copy.modifiedMs = node.modifiedMs
        files.set(node, copy)
      }
      copy.linkCount++
      return copy
    }
    return new SimulatedTree(rebuild(this.root) as SimulatedDirectory)
  }
}

function applyTo(names: Map<string, SimulatedNode>, { name, node }: NameChange): void {
  if (node === undefined) names.delete(name)
  else names.set(name, node)
}

function segments(path: string): string[] {
  assert(path.startsWith("/"), "paths are absolute")
  const names = path.split("/").filter((name) => name !== "")
  assert(!names.includes(".") && !names.includes(".."), "paths are normal")
  return names
}

/** Where the name `path` is or would be. @throws EngineError as a disk does */
export function place(tree: SimulatedTree, act: string, path: string): Place {
  const found = tree.place(path)
  if (found === undefined) throw failed(act, path, "the directory above it does not exist")
  return found
}

/** The directory `path`. @throws EngineError as a disk does */
export function directoryAt(tree: SimulatedTree, act: string, path: string): SimulatedDirectory {
  const node = tree.find(path)
  if (!(node instanceof SimulatedDirectory)) throw failed(act, path, "it is no directory")
  return node
}

/** What a call that cannot be done rejects with. */
export function failed(act: string, path: string, why: string): EngineError {
  return new EngineError("STORAGE_FAILED", `cannot ${act} ${path}: ${why}`)
}
