// What a job reaches when its caller may tell it to stop: the next read or write of a file fails, and the next request
// to an object store, and the job tidies up as it does after a failed disk, for which closing and removing files still
// work. So every job can be stopped, between two pieces of its work, and none has to ask.

import { EngineError } from "../base/error.ts"
import type { JobContext } from "./executor.ts"
import type { File, FileSystem, OpenMode } from "./file-system.ts"
import type { ObjectStore } from "./object-store.ts"

/** `context`, whose files and object stores refuse work with EngineError `ENGINE_CLOSED` once `isStopped`. */
export function stoppableContext(context: JobContext, isStopped: () => boolean): JobContext {
  const { fileSystem } = context
  function open(path: string, mode: "read" | "edit" | "edit-synced"): Promise<File | undefined>
  function open(path: string, mode: "create"): Promise<File>
  async function open(path: string, mode: OpenMode): Promise<File | undefined> {
    const file = mode === "create" ? await fileSystem.open(path, mode) : await fileSystem.open(path, mode)
    return file === undefined ? undefined : stoppableFile(file, path, isStopped)
  }
  const stoppable: FileSystem = {
    open,
    rename: (source, target) => fileSystem.rename(source, target),
    link: (source, target) => fileSystem.link(source, target),
    remove: (path) => fileSystem.remove(path),
    removeDirectory: (path) => fileSystem.removeDirectory(path),
    makeDirectory: (path) => fileSystem.makeDirectory(path),
    list: (path) => fileSystem.list(path),
    status: (path) => fileSystem.status(path),
    syncDirectory: (path) => fileSystem.syncDirectory(path),
    lock: (path) => fileSystem.lock(path),
  }
  const objectStore = async (url: string): Promise<ObjectStore> =>
    stoppableObjectStore(await context.objectStore(url), isStopped)
  return { ...context, fileSystem: stoppable, objectStore }
}

function stoppableObjectStore(store: ObjectStore, isStopped: () => boolean): ObjectStore {
  const check = (): void => {
    if (isStopped()) throw new EngineError("ENGINE_CLOSED", `work on ${store.url} was told to stop`)
  }
  return {
    url: store.url,
    get: async (key, range) => {
      check()
      return store.get(key, range)
    },
    create: async (key, parts) => {
      check()
      return store.create(key, parts)
    },
    list: async (prefix) => {
      check()
      return store.list(prefix)
    },
    remove: async (key) => {
      check()
      return store.remove(key)
    },
    close: () => store.close(),
  }
}

function stoppableFile(file: File, path: string, isStopped: () => boolean): File {
  const check = (): void => {
    if (isStopped()) throw new EngineError("ENGINE_CLOSED", `work on ${path} was told to stop`)
  }
  return {
    read: async (target, offset) => {
      check()
      return file.read(target, offset)
    },
    write: async (source, offset) => {
      check()
      return file.write(source, offset)
    },
    sync: () => file.sync(),
    truncate: (bytes) => file.truncate(bytes),
    size: () => file.size(),
    close: () => file.close(),
  }
}
