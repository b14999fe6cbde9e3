// Addresses as callers give them.

import { VarveError } from "@varve/proto"
import { shown } from "./check-options.ts"

const DEFAULT_PORT = 7400

/** With the default port when there is none. @throws VarveError `REQUEST_INVALID` */
export function parseAddress(address: string): string {
  if (typeof address !== "string") throw notAnAddress(address)
  if (address.startsWith("unix:") && address.length > 5) return address
  if (/^[^\s:/[\]]+$/.test(address)) return `${address}:${DEFAULT_PORT}`
  if (/^\[[0-9a-fA-F:.]+\]$/.test(address)) return `${address}:${DEFAULT_PORT}`
  const port = /^(?:[^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(address)?.[1]
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return address
  throw notAnAddress(address)
}

function notAnAddress(address: unknown): VarveError {
  const given = typeof address === "string" ? JSON.stringify(address) : shown(address)
  return new VarveError("REQUEST_INVALID", `the address ${given} is not HOST, HOST:PORT or unix:PATH`)
}
