// Addresses of daemons as the command line takes them: by the rule of the client library.

import { UsageError } from "./exit-codes.ts"

const DEFAULT_PORT = 7400

/** With the default port when there is none. @throws UsageError */
export function parseAddress(address: string): string {
  if (address.startsWith("unix:") && address.length > 5) return address
  if (/^[^\s:/[\]]+$/.test(address)) return `${address}:${DEFAULT_PORT}`
  if (/^\[[0-9a-fA-F:.]+\]$/.test(address)) return `${address}:${DEFAULT_PORT}`
  const port = /^(?:[^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(address)?.[1]
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return address
  throw new UsageError(`the address ${JSON.stringify(address)} is not HOST, HOST:PORT or unix:PATH`)
}
