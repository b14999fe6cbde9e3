// Preloaded into a daemon (`--import`): has main end while the thread of a shard loads its modules, and notes the order in the
// file LOADING_ORDER. Main goes on when the thread has begun to load; the thread, when main ends it, or the process.

import { appendFileSync, readFileSync } from "node:fs"
import module, { syncBuiltinESMExports } from "node:module"
import { Worker } from "node:worker_threads"

const path = process.env.LOADING_ORDER
const pause = new Int32Array(new SharedArrayBuffer(4))

function note(word) {
  appendFileSync(path, `${word}\n`)
}

function waitFor(word) {
  while (!readFileSync(path, "utf8").split("\n").includes(word)) Atomics.wait(pause, 0, 0, 5)
}

const { createRequire } = module
module.createRequire = (from) => {
  const require = createRequire(from)
  const isMain = from.endsWith("/cli/main.js")
  if (!isMain && !from.endsWith("/shard-thread.js")) return require
  return (specifier) => {
    if (isMain) {
      waitFor("loading")
      return require(specifier)
    }
    note("loading")
    waitFor("ending")
    const loaded = require(specifier)
    note("loaded")
    return loaded
  }
}
syncBuiltinESMExports()

process.once("exit", () => note("ending"))
for (const name of ["ref", "terminate"]) {
  const act = Worker.prototype[name]
  Worker.prototype[name] = function () {
    note("ending")
    return act.call(this)
  }
}
