// What keeps a peer of the HTTP port from taking the main thread's memory and time. The framework bounds a body and a
// connection's idleness; these bound how much comes at once:
//
//   connection   requests sent without waiting for answers: above the limit it is cut
//   all          requests under way, those with a body by themselves: a place is held until the answer is sent, and probes
//                find one while bodies arrive slowly

import type { Socket } from "node:net"
import type { FastifyInstance } from "fastify"
import { CallLimit } from "../grpc/call-limit.ts"

/** Requests of one connection that wait for their answers. Browsers send one at a time. */
const UNANSWERED_PER_CONNECTION_MAX = 16
const QUESTIONS_MAX = 64
/** Each may hold a whole body. */
const BODIES_MAX = 32
/** How long the headers of a request may take. */
const HEADERS_TIMEOUT_MS = 10_000

/** How often the time of slow requests is looked at: an option of Node's server, which has 30 s. */
export const SLOW_CHECK_MS = 1000

/** Bounds requests; before the first one. */
export function limitRequests(app: FastifyInstance): void {
  const unanswered = new WeakMap<Socket, number>()
  app.server.headersTimeout = HEADERS_TIMEOUT_MS
  app.server.prependListener("request", ({ socket }, response) => {
    const count = (unanswered.get(socket) ?? 0) + 1
    unanswered.set(socket, count)
    response.once("close", () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1))
    if (count > UNANSWERED_PER_CONNECTION_MAX) socket.destroy()
  })
  const questions = new CallLimit("questions", QUESTIONS_MAX)
  const bodies = new CallLimit("requests with a body", BODIES_MAX)
  app.addHook("onRequest", (request, reply, next) => {
    // What was read together with the request that was one too many.
    if (request.socket.destroyed) {
      reply.hijack()
      return
    }
    const limit = request.method === "GET" || request.method === "HEAD" ? questions : bodies
    try {
      limit.enter()
    } catch (error) {
      next(error as Error)
      return
    }
    reply.raw.once("close", () => limit.leave())
    next()
  })
}
