// Addresses to listen on: `HOST:PORT`, `[IPV6]:PORT`, `:PORT` or `PORT`. Without a host: loopback, so that
// nothing is reachable from outside unless somebody says so.

export interface ListenAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

const LOOPBACK = "127.0.0.1"
const PORT_MAX = 65_535
const HOST = /^[A-Za-z0-9._-]{1,253}$/
const IPV6 = /^[0-9A-Fa-f:.]{2,45}$/

/** The address that `text` names, or undefined when it names none. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:[\]]*)):)?(?<port>\d{1,5})$/.exec(text)
  if (match?.groups === undefined) return undefined
  const { ipv6, host } = match.groups
  const port = Number(match.groups["port"])
  if (port > PORT_MAX) return undefined
  if (ipv6 !== undefined) return IPV6.test(ipv6) ? { host: ipv6, port } : undefined
  if (host === undefined || host === "") return { host: LOOPBACK, port }
  return HOST.test(host) ? { host, port } : undefined
}

/** `HOST:PORT`, with brackets around an IPv6 host. */
export function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}
