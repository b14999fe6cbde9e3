// Addresses to listen on: `HOST:PORT`, `[IPV6]:PORT`, `:PORT`, `PORT`, or `unix:PATH`. Without a host: loopback, so that
// nothing is reachable from outside unless somebody says so.
//
// Each shard listens at an address of its own: the given port and those after it, or the given path and those with the
// shard's number behind it.

/** A port of a host. */
export interface TcpAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

/** A Unix socket. */
export interface SocketAddress {
  readonly path: string
}

export type ListenAddress = TcpAddress | SocketAddress

export const PORT_MAX = 65_535
/** Of a socket's path, without the zero that ends it (`sun_path` of Linux has 108 bytes). */
export const SOCKET_PATH_BYTES_MAX = 107
const LOOPBACK = "127.0.0.1"
const UNIX_PREFIX = "unix:"
const HOST = /^[A-Za-z0-9._-]{1,253}$/
const IPV6 = /^[0-9A-Fa-f:.]{2,45}$/

/** The address that `text` names, or undefined when it names none. The path of a socket may be relative. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith(UNIX_PREFIX)) {
    const path = text.slice(UNIX_PREFIX.length).replace(/^\/\/(?=\/)/, "")
    return path === "" || path.endsWith("/") || path.includes("\0") ? undefined : { path }
  }
  const match = /^(?:(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:[\]]*)):)?(?<port>\d{1,5})$/.exec(text)
  if (match?.groups === undefined) return undefined
  const { ipv6, host } = match.groups
  const port = Number(match.groups["port"])
  if (port > PORT_MAX) return undefined
  if (ipv6 !== undefined) return IPV6.test(ipv6) ? { host: ipv6, port } : undefined
  if (host === undefined || host === "") return { host: LOOPBACK, port }
  return HOST.test(host) ? { host, port } : undefined
}

/** `HOST:PORT`, with brackets around an IPv6 host, or `unix:PATH`. */
export function formatAddress(address: ListenAddress): string {
  if ("path" in address) return `${UNIX_PREFIX}${address.path}`
  const { host, port } = address
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}

/** Where shard `index` listens when `address` is the first one's. */
export function shardAddress(address: ListenAddress, index: number): ListenAddress {
  if (index === 0) return address
  if ("path" in address) return { path: `${address.path}.${index}` }
  return address.port === 0 ? address : { ...address, port: address.port + index }
}
