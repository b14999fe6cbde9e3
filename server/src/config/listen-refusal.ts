// Why an address cannot be listened on, for the operator: which setting gave it, and what to do.

import { formatAddress, type ListenAddress } from "./address.ts"
import { SettingsError } from "./settings.ts"

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use: stop the process that listens there, or give another one",
  EADDRNOTAVAIL: "is no address of this machine: give one that is, or 0.0.0.0 for all of them",
  ENOTFOUND: "has a host that no name service knows: give another one",
  EACCES: "may not be listened on by this user: give a port from 1024 on",
}

const socketRemedies: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use: stop the process that listens there, or give another one",
  ENOTSOCK: "is there and is no socket: give another path",
  ENOENT: "is in no directory: make it, or give another path",
  ENOTDIR: "is in no directory: make it, or give another path",
  EACCES: "may not be made by this user: give another path",
  EPERM: "may not be made by this user: give another path",
  EROFS: "is on a file system that cannot be written: give another path",
}

/** The system's error as a SettingsError that names the setting; another error as it is. */
export function listenRefusal(setting: "grpc" | "http", address: ListenAddress, error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error
  const isSocket = "path" in address
  const remedy = (isSocket ? socketRemedies : remedies)[String(error.code)]
  if (remedy === undefined) return error
  // Port 0 is never in use itself: then the machine has no free port.
  const isAny = !isSocket && address.port === 0
  const shown = isAny ? `${formatAddress(address)} (any free port)` : formatAddress(address)
  const form = isSocket ? "unix:PATH" : "HOST:PORT"
  return new SettingsError(
    `${setting}: ${shown} ${remedy} (--${setting} ${form}; the system says ${error.code})`,
  )
}
