// Why an address cannot be listened on, for the operator: which setting gave it, and what to do.

import { formatAddress, type ListenAddress } from "./address.ts"
import { SettingsError } from "./settings.ts"

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use: stop the process that listens there, or give another one",
  EADDRNOTAVAIL: "is no address of this machine: give one that is, or 0.0.0.0 for all of them",
  ENOTFOUND: "has a host that no name service knows: give another one",
  EACCES: "may not be listened on by this user: give a port from 1024 on",
}

/** The system's error as a SettingsError that names the setting; another error as it is. */
export function listenRefusal(setting: "grpc" | "http", address: ListenAddress, error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error
  const remedy = remedies[String(error.code)]
  if (remedy === undefined) return error
  const { port } = address
  // Port 0 is never in use itself: then the machine has no free port.
  const shown = port === 0 ? `${formatAddress(address)} (any free port)` : formatAddress(address)
  return new SettingsError(
    `${setting}: ${shown} ${remedy} (--${setting} HOST:PORT; the system says ${error.code})`,
  )
}
