// What a job reaches when its caller may tell it to stop: the next read or write of a file fails, and the job tidies
// up as it does after a failed disk, for which closing and removing files still work. So every job can be stopped,
// between two pieces of its work, and none has to ask.

import { EngineError } from "../base/error.ts"
import type { JobContext } from "./executor.ts"
import type { File, FileSystem, OpenMode } from "./file-system.ts"

/** `context`, whose files refuse reads and writes with EngineError `ENGINE_CLOSED` once `isStopped`. */
export function stoppableContext(context: JobContext, isStopped: () => boolean): JobContext {
  const { fileSystem } = context
  function open(path: string, mode: "read" | "edit"): Promise<File | undefined>
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
  return { ...context, fileSystem: stoppable }
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
