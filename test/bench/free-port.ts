// A port that nobody listens on, for servers that cannot be told to take one themselves.

import { once } from "node:events"
import { createServer } from "node:net"

/** A free port of loopback; somebody else may take it before it is used. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  if (address === null || typeof address === "string") throw new Error("the system gave no port")
  return address.port
}
