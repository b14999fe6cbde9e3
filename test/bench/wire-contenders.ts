// The child of the `wire` suite: a client in a process of its own.

import { serveParent } from "./child-contender.ts"
import { wireClients } from "./wire-clients.ts"
import { fill, runRound, type WireRound } from "./wire-load.ts"

const [name, address, ...numbers] = process.argv.slice(2)
const [serverPid, keys, valueBytes] = numbers.map(Number)
const calls = wireClients[name!]!(address!)

serveParent({
  prepare: () => fill(calls, keys!, valueBytes!),
  measure: (measurement, round) =>
    runRound(calls, JSON.parse(measurement) as WireRound, keys!, valueBytes!, round, serverPid!),
  async close() {
    await calls.close()
  },
})
