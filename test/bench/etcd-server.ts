// An etcd of our own: one node, on free ports of loopback. It syncs its log before it answers a write; this version has no
// way to leave that out.

import { freePort } from "./free-port.ts"
import { needProgram } from "./peers.ts"
import { makeScratch } from "./scratch.ts"
import { type ServerProcess, startServer } from "./server-process.ts"

export interface EtcdServer extends ServerProcess {
  /** HOST:PORT */
  readonly address: string
}

/** Starts etcd and waits until it serves. */
export async function startEtcd(): Promise<EtcdServer> {
  needProgram("etcd")
  const scratch = makeScratch("etcd")
  const [clientPort, peerPort] = [await freePort(), await freePort()]
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`]
  const flags = {
    name: "bench",
    "data-dir": scratch.path,
    "listen-client-urls": clientUrl,
    "advertise-client-urls": clientUrl,
    "listen-peer-urls": peerUrl,
    "initial-advertise-peer-urls": peerUrl,
    "initial-cluster": `bench=${peerUrl}`,
    logger: "zap",
  }
  const server = await startServer({
    program: "etcd",
    words: Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]),
    tellsOn: "stderr",
    ready: /serving (insecure )?client (requests|traffic)/i,
    scratch,
  })
  return { address: `127.0.0.1:${clientPort}`, ...server }
}
