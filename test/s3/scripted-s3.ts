// An S3 server in this process that does what a test says: loses answers, refuses, cuts bodies, ignores conditions,
// lists what was there a while ago. It keeps buckets in memory, and refuses a body that is not the one signed.
//
//     const server = await ScriptedS3.start()
//     server.script = ({ method, count }) => (method === "PUT" && count === 1 ? { is: "lost" } : undefined)

import { createHash } from "node:crypto"
import { once } from "node:events"
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http"

/** What happens to a request in place of an answer. */
export type Fault =
  /** It is carried out, and the connection is reset. */
  | { readonly is: "lost" }
  /** It is carried out twice, as by a proxy that got no answer the first time, and the second time is answered. */
  | { readonly is: "doubled" }
  /** The connection is reset, and nothing is done. */
  | { readonly is: "reset" }
  /** Something on the way answers, with a page for people. */
  | { readonly is: "page" }
  /** It is never answered. */
  | { readonly is: "silent" }
  /** It is refused. */
  | { readonly is: "refused"; readonly status: number; readonly code: string }
  /** The connection is reset in the middle of the answer's body. */
  | { readonly is: "cut" }
  /** The answer has `bytes` more or fewer bytes than it should, and says so. */
  | { readonly is: "resized"; readonly bytes: number }

export interface ScriptedRequest {
  readonly method: string
  /** Bucket and key, or the bucket alone. */
  readonly path: string
  /** How many requests of this method there were for the path, this one included. */
  readonly count: number
}

interface StoredObject {
  readonly bytes: Buffer
  readonly writer: string
  readonly modified: Date
}

export class ScriptedS3 {
  readonly objects = new Map<string, StoredObject>()
  readonly requests: ScriptedRequest[] = []
  script: (request: ScriptedRequest) => Fault | undefined = () => undefined
  /** Whether `If-None-Match: *` is ignored. */
  ignoresConditions = false
  /** Objects, by bucket and key, that are there and not listed. */
  hidden: (path: string) => boolean = () => false
  /** Whether objects that were removed are still there for reads. */
  keepsRemoved = false
  readonly bucket = "bucket"
  readonly #server: Server
  readonly #pageObjects: number

  private constructor(server: Server, pageObjects: number) {
    this.#server = server
    this.#pageObjects = pageObjects
  }

  /** @param pageObjects how many objects a page of a listing has at most */
  static async start(pageObjects = 1000): Promise<ScriptedS3> {
    const server = createServer({ keepAliveTimeout: 60_000 }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const scripted = new ScriptedS3(server, pageObjects)
    server.on("request", (request, answer) => void scripted.#handle(request, answer))
    return scripted
  }

  /** Empty again, and without faults. */
  reset(): void {
    this.objects.clear()
    this.requests.length = 0
    this.script = () => undefined
    this.ignoresConditions = false
    this.hidden = () => false
    this.keepsRemoved = false
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  /** Resolves when every connection is closed. */
  async stop(): Promise<void> {
    const closed = once(this.#server, "close")
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  /** How many connections are open. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
    })
  }

  /** How often `method` was asked for what ends in `key`. */
  count(method: string, key = ""): number {
    return this.requests.filter((request) => request.method === method && request.path.endsWith(key)).length
  }

  async #handle(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost")
    const path = decodeURIComponent(pathname.slice(1))
    const method = request.method ?? ""
    const count = this.requests.filter((each) => each.method === method && each.path === path).length + 1
    this.requests.push({ method, path, count })
    const fault = this.script({ method, path, count })
    if (fault?.is === "silent") {
      // Read all the same: a server that reads nothing does not hear of the connection's end.
      request.on("error", () => undefined).resume()
      return
    }
    if (fault?.is === "reset") {
      request.socket.resetAndDestroy()
      return
    }
    const body = await bodyOf(request)
    const carried = { method, path, headers: request.headers, body }
    if (fault?.is === "doubled") this.#carryOut(carried, searchParams)
    if (fault?.is === "page") {
      answer.writeHead(200, { "Content-Type": "text/html" }).end("<html><body>Sign in</body></html>")
      return
    }
    const reply =
      fault?.is === "refused" ? refusal(fault.status, fault.code) : this.#carryOut(carried, searchParams)
    send(answer, request, reply, fault)
  }

  #carryOut(request: Carried, query: URLSearchParams): Reply {
    const { method, path, headers } = request
    const [bucket, ...key] = path.replace(/\/$/, "").split("/")
    if (bucket !== this.bucket) return refusal(404, "NoSuchBucket")
    if (headers.authorization === undefined) return refusal(403, "AccessDenied")
    if (method === "PUT") return this.#put(request)
    if (method === "DELETE") return this.#remove(path)
    return key.length > 0 ? this.#get(path, headers.range) : this.#list(query)
  }

  #put({ path, headers, body }: Carried): Reply {
    const hash = createHash("sha256").update(body).digest("hex")
    if (headers["x-amz-content-sha256"] !== hash) return refusal(400, "XAmzContentSHA256Mismatch")
    const isConditional = headers["if-none-match"] === "*" && !this.ignoresConditions
    if (isConditional && this.objects.has(path)) return refusal(412, "PreconditionFailed")
    const writer = String(headers["x-amz-meta-varve-writer"] ?? "")
    this.objects.set(path, { bytes: body, writer, modified: new Date() })
    return { status: 200, headers: { ETag: `"${hash}"` }, body: Buffer.alloc(0) }
  }

  #remove(path: string): Reply {
    if (!this.keepsRemoved) this.objects.delete(path)
    return { status: 204, headers: {}, body: Buffer.alloc(0) }
  }

  #get(path: string, range: string | undefined): Reply {
    const object = this.objects.get(path)
    if (object === undefined) return refusal(404, "NoSuchKey")
    const { bytes, writer, modified } = object
    const headers = { "Last-Modified": modified.toUTCString(), "x-amz-meta-varve-writer": writer }
    const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? "")
    if (match === null) return { status: 200, headers, body: bytes }
    const first = Number(match[1])
    if (first >= bytes.length) return refusal(416, "InvalidRange")
    const body = bytes.subarray(first, Number(match[2]) + 1)
    const contentRange = `bytes ${first}-${first + body.length - 1}/${bytes.length}`
    return { status: 206, headers: { ...headers, "Content-Range": contentRange }, body }
  }

  #list(query: URLSearchParams): Reply {
    const prefix = query.get("prefix") ?? ""
    const after = query.get("continuation-token") ?? ""
    const all = [...this.objects]
      .filter(([path]) => !this.hidden(path))
      .map(([path, object]) => ({ key: path.slice(this.bucket.length + 1), ...object }))
      .filter(({ key }) => key.startsWith(prefix) && key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1))
    const page = all.slice(0, this.#pageObjects)
    const contents = page.map(
      ({ key, bytes, modified }) =>
        `<Contents><Key>${key}</Key><Size>${bytes.length}</Size>` +
        `<LastModified>${modified.toISOString()}</LastModified></Contents>`,
    )
    const isTruncated = page.length < all.length
    const next = isTruncated ? `<NextContinuationToken>${page.at(-1)!.key}</NextContinuationToken>` : ""
    return xml(
      200,
      "ListBucketResult",
      `<IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join("")}`,
    )
  }
}

interface Carried {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

function xml(status: number, name: string, content: string): Reply {
  return {
    status,
    headers: { "Content-Type": "application/xml" },
    body: Buffer.from(`<?xml version="1.0"?><${name}>${content}</${name}>`),
  }
}

function refusal(status: number, code: string): Reply {
  return xml(status, "Error", `<Code>${code}</Code><Message>as the test says</Message>`)
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

function send(
  answer: ServerResponse,
  request: IncomingMessage,
  reply: Reply,
  fault: Fault | undefined,
): void {
  if (fault?.is === "lost") {
    request.socket.resetAndDestroy()
    return
  }
  const extra = fault?.is === "resized" ? fault.bytes : 0
  const body = Buffer.concat([reply.body, Buffer.alloc(Math.max(0, extra))]).subarray(
    0,
    reply.body.length + extra,
  )
  const hasBody = reply.status !== 204
  answer.writeHead(reply.status, { ...reply.headers, ...(hasBody ? { "Content-Length": body.length } : {}) })
  if (fault?.is === "cut")
    answer.write(body.subarray(0, body.length / 2), () => request.socket.resetAndDestroy())
  else answer.end(request.method === "HEAD" ? undefined : body)
}
