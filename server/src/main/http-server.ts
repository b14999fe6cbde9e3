// HTTP of the daemon: metrics, health, the administrative calls as JSON, and a status page.
//
//   GET    /metrics                                   figures of all threads, as Prometheus text or OpenMetrics
//   GET    /healthz  /readyz                          200 or 503
//   GET    /v1/describe
//   GET    /v1/stores/:store/snapshots
//   POST   /v1/stores/:store/snapshots                { version, partitions?, metadata? (base64), lineages? }
//   POST   /v1/stores/:store/restore                  { version?, timeline?, partitions?, replaced?, fallback?, mode? }
//   DELETE /v1/stores/:store/snapshots/:version       ?timeline=
//   PUT    /v1/stores/:store/snapshots/:version/pin   ?timeline=&name=   (DELETE takes the pin off)
//   POST   /v1/stores/:store/prune                    { keepLast?, keepFor?, dryRun? }
//   POST   /v1/gc                                     { dryRun? }
//   GET    /v1/gc/why/:name
//   POST   /v1/stores/:store/drill                    {}
//   GET    /

import { restoreModes } from "@varve/engines"
import { errorTable, VarveError } from "@varve/proto"
import { type FastifyInstance, type FastifyReply, fastify } from "fastify"
import { z } from "zod"
import type { ListenAddress } from "../config/address.ts"
import { durationWords, parseDuration } from "../config/duration.ts"
import { listen } from "../config/listen.ts"
import type { Settings } from "../config/settings.ts"
import type { ControlPlane } from "../control/control-plane.ts"
import { failureOf } from "../grpc/failure.ts"
import type { Log } from "../log.ts"
import type { AdministrativeCalls } from "../shard/administrative-calls.ts"
import { contentTypes, formatFor } from "./exposition.ts"
import { limitRequests, SLOW_CHECK_MS } from "./http-limits.ts"
import { toJson } from "./json-messages.ts"
import { MetricsPage } from "./metrics-page.ts"
import { statusPage } from "./status-page.ts"

const BODY_BYTES_MAX = 2 * 1024 * 1024
/** How long a shard may take to say that it is there. */
const PING_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const CONNECTION_TIMEOUT_MS = 60_000
const CONNECTIONS_MAX = 256

const partitions = z.array(z.number().int().min(0).max(65_535)).max(65_536).default([])
const versionError = "a whole number from 1 to 2^53 - 1 is needed"
const digits = z.string().regex(/^\d{1,20}$/, versionError)
const version = z
  .union([z.number().int(), digits], { error: versionError })
  .transform(BigInt)
  .pipe(
    z
      .bigint()
      .min(0n, { error: versionError })
      .max(2n ** 64n - 1n, { error: versionError }),
  )
const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/)

const snapshotBody = z.strictObject({
  version,
  partitions,
  metadata: base64.default(""),
  lineages: z.record(z.string().regex(/^\d{1,5}$/), z.string().max(200)).default({}),
})
const restoreBody = z.strictObject({
  version: version.optional(),
  timeline: z.string().max(100).default(""),
  partitions,
  replaced: z.string().max(65_536).default(""),
  fallback: z.enum(["", "previous"]).default(""),
  mode: z.enum(["", ...restoreModes]).default(""),
})
const pruneBody = z.strictObject({
  keepLast: z.number().int().min(0).max(1_000_000).optional(),
  keepFor: z
    .string()
    .transform(parseDuration)
    .refine((ms) => ms !== undefined, `a duration is ${durationWords}`)
    .optional(),
  dryRun: z.boolean().default(false),
})
const collectBody = z.strictObject({ dryRun: z.boolean().default(false) })
const drillBody = z.strictObject({})
const nameParams = z.object({ name: z.string().max(100) })
const storeParams = z.object({ store: z.string() })
const versionParams = storeParams.extend({ version })
const timelineQuery = z.strictObject({ timeline: z.string().max(100).default("") })
const pinQuery = timelineQuery.extend({ name: z.string().max(100).default("") })

export class HttpServer {
  readonly address: ListenAddress
  readonly #app: FastifyInstance
  readonly #metrics: MetricsPage
  readonly #readiness: { isReady: boolean }

  constructor(
    app: FastifyInstance,
    address: ListenAddress,
    metrics: MetricsPage,
    readiness: { isReady: boolean },
  ) {
    this.#app = app
    this.address = address
    this.#metrics = metrics
    this.#readiness = readiness
  }

  /** Resolves when requests are answered. @throws (rejects) SettingsError, or the system's error */
  static async open(
    { http: address, socketMode, dataDir }: Pick<Settings, "http" | "socketMode" | "dataDir">,
    plane: ControlPlane,
    log: Log,
  ): Promise<HttpServer> {
    const app = fastify({
      logger: false,
      bodyLimit: BODY_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      http: { connectionsCheckingInterval: SLOW_CHECK_MS },
      forceCloseConnections: true,
      schemaController: { compilersFactory: noSchemas },
      frameworkErrors: (error, _request, reply) => fail(error, reply, log),
    })
    app.server.maxConnections = CONNECTIONS_MAX
    limitRequests(app)
    // JSON only, and a body is required: a page in somebody's browser can then change nothing here.
    app.removeContentTypeParser("text/plain")
    allowEmptyBodies(app)
    const metrics = new MetricsPage(plane, dataDir)
    const readiness = { isReady: true }
    addFailures(app, log)
    addProbes(app, plane, metrics, readiness)
    addAdministration(app, plane.administration)
    try {
      const options = { setting: "http", socketMode } as const
      const bound = await listen(app.server, address, options, (where) => app.listen({ ...where }))
      return new HttpServer(app, bound, metrics, readiness)
    } catch (error) {
      metrics.close()
      await app.close()
      throw error
    }
  }

  /** Whether `/readyz` answers 200. */
  set isReady(isReady: boolean) {
    this.#readiness.isReady = isReady
  }

  async close(): Promise<void> {
    this.#metrics.close()
    await this.#app.close()
  }
}

/** Routes have no schemas of the framework; what would compile them takes long to load. */
const noSchemas = {
  buildValidator: () => refuseSchema,
  buildSerializer: () => refuseSchema,
}

function refuseSchema(): never {
  throw new Error("routes here check with zod and answer with text")
}

/** PUT and DELETE say everything in their paths: a content-type that a client always sends needs no body there. */
function allowEmptyBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error")
  app.removeContentTypeParser("application/json")
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) =>
    body === "" && request.method !== "POST" ? done(null, undefined) : parse(request, body as string, done),
  )
}

function addFailures(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, _request, reply) =>
    fail(error, reply, log),
  )
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .send({ error: { reason: "UNIMPLEMENTED", message: "there is nothing at this path", metadata: {} } }),
  )
}

/** What the caller does about what the framework refuses. */
const remedies: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "send content-type: application/json",
  FST_ERR_CTP_EMPTY_JSON_BODY: "the body is needed: a JSON object; {} when there is nothing to say",
}

function fail(error: Error & { statusCode?: number; code?: string }, reply: FastifyReply, log: Log): void {
  const { statusCode } = error
  if (statusCode !== undefined && statusCode < 500) {
    const message = remedies[error.code ?? ""] ?? error.message
    reply.code(statusCode).send({ error: { reason: "REQUEST_INVALID", message, metadata: {} } })
    return
  }
  const { reason, message, metadata } = failureOf(error, log)
  reply.code(errorTable[reason].httpStatus).send({ error: { reason, message, metadata } })
}

function addProbes(
  app: FastifyInstance,
  plane: ControlPlane,
  metrics: MetricsPage,
  readiness: { readonly isReady: boolean },
): void {
  app.get("/metrics", async (request, reply) => {
    const format = formatFor(request.headers.accept)
    return reply
      .header("vary", "accept")
      .type(contentTypes[format])
      .send(await metrics.text(format))
  })
  app.get("/healthz", async (_request, reply) => {
    // The event loop of each shard turns: it answers. One that is being started again is no reason to end the rest.
    await plane.shards.ping(PING_MS)
    return reply.type("text/plain").send("ok\n")
  })
  app.get("/readyz", async (_request, reply) => {
    if (!readiness.isReady) return reply.code(503).type("text/plain").send("going down\n")
    await plane.shards.refresh(PING_MS)
    const { restarting, fenced, damaged } = plane.troubles
    const troubles = [
      ...(restarting.length > 0 ? [`being started again: ${restarting.join(", ")}\n`] : []),
      ...(fenced.length > 0 ? [`taken over by another daemon: ${fenced.join(", ")}\n`] : []),
      ...(damaged.length > 0 ? [`cannot be restored, by the last drill: ${damaged.join(", ")}\n`] : []),
    ]
    if (troubles.length > 0) return reply.code(503).type("text/plain").send(troubles.join(""))
    return reply.type("text/plain").send("ok\n")
  })
  app.get("/", async (_request, reply) => {
    const description = await plane.administration.describe({ store: "" })
    return reply
      .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
      .type("text/html; charset=utf-8")
      .send(statusPage(description))
  })
}

function addAdministration(app: FastifyInstance, calls: AdministrativeCalls): void {
  const json = (reply: { type(type: string): { send(body: string): unknown } }, message: unknown): unknown =>
    reply.type("application/json; charset=utf-8").send(toJson(message))

  app.get("/v1/describe", async (_request, reply) => json(reply, await calls.describe({ store: "" })))
  app.get("/v1/stores/:store/snapshots", async (request, reply) => {
    const { store } = read(storeParams, request.params)
    return json(reply, await calls.listSnapshots({ store, partitions: [] }))
  })
  app.post("/v1/stores/:store/snapshots", async (request, reply) => {
    const { store } = read(storeParams, request.params)
    const body = read(snapshotBody, request.body)
    const message = { ...body, store, metadata: Buffer.from(body.metadata, "base64") }
    return json(reply, await calls.snapshot(message))
  })
  app.post("/v1/stores/:store/restore", async (request, reply) => {
    const { store } = read(storeParams, request.params)
    const { version: wanted, ...body } = read(restoreBody, request.body)
    const message = { ...body, store, ...(wanted === undefined ? {} : { version: wanted }) }
    return json(reply, await calls.restore(message))
  })
  app.delete("/v1/stores/:store/snapshots/:version", async (request, reply) => {
    const message = { ...read(versionParams, request.params), ...read(timelineQuery, request.query) }
    return json(reply, await calls.deleteSnapshot(message))
  })
  app.post("/v1/stores/:store/prune", async (request, reply) => {
    const { store } = read(storeParams, request.params)
    const { keepLast, keepFor, dryRun } = read(pruneBody, request.body)
    const message = {
      ...{ store, dryRun },
      ...(keepLast === undefined ? {} : { keepLast }),
      ...(keepFor === undefined ? {} : { keepForMs: BigInt(keepFor) }),
    }
    return json(reply, await calls.pruneSnapshots(message))
  })
  app.post("/v1/stores/:store/drill", async (request, reply) => {
    read(drillBody, request.body)
    return json(reply, await calls.drillStore(read(storeParams, request.params)))
  })
  app.post("/v1/gc", async (request, reply) =>
    json(reply, await calls.collectGarbage(read(collectBody, request.body))),
  )
  app.get("/v1/gc/why/:name", async (request, reply) =>
    json(reply, await calls.whyKept(read(nameParams, request.params))),
  )
  for (const [method, pinned] of [
    ["PUT", true],
    ["DELETE", false],
  ] as const) {
    app.route({
      method,
      url: "/v1/stores/:store/snapshots/:version/pin",
      handler: async (request, reply) => {
        const message = {
          ...read(versionParams, request.params),
          ...read(pinQuery, request.query),
          pinned,
        }
        return json(reply, await calls.pinSnapshot(message))
      },
    })
  }
}

/** @throws VarveError `REQUEST_INVALID`, naming the field */
function read<Output>(form: z.ZodType<Output>, input: unknown): Output {
  const result = form.safeParse(input)
  if (result.success) return result.data
  const { issues } = result.error
  // A misspelt field is missing under its right name, too.
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]
  if (issue?.code === "unrecognized_keys" && issue.path.length === 0) {
    const known = form instanceof z.ZodObject ? Object.keys(form.shape).join(", ") : ""
    throw new VarveError("REQUEST_INVALID", `there is no field ${issue.keys.join(", ")}; known: ${known}`)
  }
  if (issue?.code === "invalid_type" && issue.path.length === 0 && form instanceof z.ZodObject) {
    const fields = Object.keys(form.shape).join(", ")
    throw new VarveError("REQUEST_INVALID", `the body is needed: a JSON object with ${fields}`)
  }
  throw new VarveError(
    "REQUEST_INVALID",
    `${issue?.path.join(".") || "the body"}: ${issue?.message ?? "not allowed"}`,
  )
}
