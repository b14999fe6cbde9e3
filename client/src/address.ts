// Addresses as callers give them.

import { VarveError } from "@varve/proto"

const DEFAULT_PORT = 7400

/** With the default port when there is none. @throws VarveError `REQUEST_INVALID` */
export function parseAddress(address: string): string {
  if (address.startsWith("unix:") && address.length > 5) return address
  if (/^[^\s:/[\]]+$/.test(address)) return `${address}:${DEFAULT_PORT}`
  if (/^\[[0-9a-fA-F:.]+\]$/.test(address)) return `${address}:${DEFAULT_PORT}`
  const port = /^(?:[^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(address)?.[1]
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return address
  throw new VarveError(
    "REQUEST_INVALID",
    `the address ${JSON.stringify(address)} is not HOST, HOST:PORT or unix:PATH`,
  )
}
