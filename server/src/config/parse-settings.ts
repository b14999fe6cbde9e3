// From what was given to what is meant: flags beat environment beats file beats defaults.
//
// Steps: collect a value and its source for each key; refuse keys that nobody knows; check each value by its
// row; then check what only several settings together can break.

import { resolve } from "node:path"
import { KEY_BYTES_MAX, RECORD_HEADER_BYTES_MAX } from "@varve/engines/internal"
import { type ListenAddress, PORT_MAX, SOCKET_PATH_BYTES_MAX, shardAddress } from "./address.ts"
import { checkEngineSettings } from "./engine-settings.ts"
import { nearestName } from "./nearest-name.ts"
import { absoluteRepository } from "./repository-url.ts"
import { type Settings, SettingsError, type StoreSettings } from "./settings.ts"
import {
  environmentName,
  flagProperty,
  type SettingRow,
  settingRows,
  storeSettingRows,
} from "./settings-table.ts"

/** What the settings are made from. */
export interface SettingInput {
  /** By property, as a command line parser gives them (`dataDir`); absent ones are undefined. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The parsed configuration file; undefined when there is none. */
  readonly file: { readonly path: string; readonly content: unknown } | undefined
  /** Absolute; relative paths start here. */
  readonly currentDirectory: string
}

interface Given {
  readonly value: unknown
  readonly source: string
}

const DEFAULT_STORE = "default"
/** In the file a URL, or a map that has it as one of its settings. */
const REPOSITORY = "repository"
const REPOSITORY_URL = "repository.url"
const STORES_MAX = 64
const STORE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
/** What a message holds besides one record: the other fields of the largest request. */
const MESSAGE_OVERHEAD_BYTES = 1024

/**
 * Settings from all sources, and warnings about what looks misspelt in the environment (where other programs'
 * variables may start with VARVE_ too, so nothing there is refused for its name).
 * @throws SettingsError
 */
export function parseSettings(input: SettingInput): { settings: Settings; warnings: string[] } {
  const file = flattenFile(input.file)
  const values = new Map<string, unknown>()
  for (const row of settingRows) {
    const given = fromFlag(row, input) ?? fromEnvironment(row, input) ?? file.values.get(row.key)
    values.set(row.key, given === undefined ? undefined : check(row, row.key, given))
  }
  const get = <Value>(key: string): Value => (values.get(key) ?? defaultOf(settingRows, key)) as Value
  const dataDir = resolve(input.currentDirectory, get<string>("dataDir"))
  const repository = values.get("repository") as string | undefined
  const limits = settingRows.filter(({ key }) => key.startsWith("limits."))
  const settings: Settings = {
    grpc: absolute(get("grpc"), input.currentDirectory),
    http: absolute(get("http"), input.currentDirectory),
    socketMode: get("socketMode"),
    dataDir,
    repository: absoluteRepository(
      repository ?? `file:${resolve(dataDir, "repository")}`,
      input.currentDirectory,
    ),
    storing: {
      mergeUploadBytesPerSecond: get("repository.mergeUploadBytesPerSecond"),
      deduplication: get("repository.deduplication"),
    },
    shards: get("shards"),
    shardHangSeconds: get("shardHangSeconds"),
    ownerCheckSeconds: get("ownerCheckSeconds"),
    blockCacheBytes: get("blockCacheBytes"),
    chunkCacheBytes: get("chunkCacheBytes"),
    limits: Object.fromEntries(
      limits.map(({ key }) => [key.slice("limits.".length), get(key)]),
    ) as unknown as Settings["limits"],
    garbageCollection: {
      intervalMs: get("garbageCollection.interval"),
      graceMs: get("garbageCollection.grace"),
      liveMin: get("garbageCollection.liveMin"),
    },
    drills: {
      everyMs: get("drills.every"),
      bytesPerSecond: get("drills.bytesPerSecond"),
      failReadiness: get("drills.failReadiness"),
    },
    log: { level: get("log.level") },
    stores: parseStores(input, file.stores),
  }
  checkTogether(settings)
  return { settings, warnings: environmentWarnings(input.environment) }
}

function parseStores(
  input: SettingInput,
  declared: ReadonlyMap<string, ReadonlyMap<string, Given>>,
): StoreSettings[] {
  const overrides = new Map<string, Given>()
  for (const row of storeSettingRows) {
    const given = fromFlag(row, input) ?? (row.flag === undefined ? undefined : fromEnvironment(row, input))
    if (given !== undefined) overrides.set(row.key, given)
  }
  const names = new Set(declared.keys())
  if (names.size === 0 || overrides.size > 0) names.add(DEFAULT_STORE)
  if (names.size > STORES_MAX)
    throw new SettingsError(`stores: ${names.size} stores; at most ${STORES_MAX} are allowed`)
  return [...names].sort().map((name) => {
    const values: Record<string, unknown> = { name }
    let settingsSource = "the defaults"
    for (const row of storeSettingRows) {
      const given =
        (name === DEFAULT_STORE ? overrides.get(row.key) : undefined) ?? declared.get(name)?.get(row.key)
      if (row.key === "settings" && given !== undefined) settingsSource = given.source
      values[row.key] =
        given === undefined
          ? defaultOf(storeSettingRows, row.key)
          : check(row, `stores.${name}.${row.key}`, given)
    }
    const { "retention.keepLast": keepLast, "retention.keepFor": keepForMs, ...plain } = values
    const store = { ...plain, retention: { keepLast, keepForMs } } as unknown as StoreSettings
    checkEngineSettings(store.engine, store.settings, `stores.${name}.settings`, settingsSource)
    return store
  })
}

function fromFlag(row: SettingRow, { flags }: SettingInput): Given | undefined {
  if (row.flag === undefined) return undefined
  const value = flags[flagProperty(row.flag)]
  return value === undefined ? undefined : { value, source: `flag ${row.flag}` }
}

function fromEnvironment(row: SettingRow, { environment }: SettingInput): Given | undefined {
  const name = environmentName(row.key)
  const value = environment[name]
  return value === undefined || value === "" ? undefined : { value, source: `environment variable ${name}` }
}

function check(row: SettingRow, key: string, { value, source }: Given): unknown {
  const result = row.form.safeParse(value)
  if (result.success) return result.data
  const shown = row.shown?.(value) ?? JSON.stringify(value) ?? String(value)
  // A form that says more than that the value is not allowed.
  const issue = result.error.issues[0]
  const why = issue?.code === "custom" && issue.message !== "Invalid input" ? `: ${issue.message}` : ""
  throw new SettingsError(`${key}: ${shown} (from ${source}) is not allowed${why}; allowed: ${row.allowed}`)
}

function defaultOf(rows: readonly SettingRow[], key: string): unknown {
  const row = rows.find((candidate) => candidate.key === key)
  if (row === undefined) throw new Error(`no setting ${key}`)
  if (key === REPOSITORY) return undefined
  return row.form.parse(key === "settings" ? {} : row.default)
}

interface FileValues {
  readonly values: ReadonlyMap<string, Given>
  readonly stores: ReadonlyMap<string, ReadonlyMap<string, Given>>
}

function flattenFile(file: SettingInput["file"]): FileValues {
  const values = new Map<string, Given>()
  const stores = new Map<string, ReadonlyMap<string, Given>>()
  if (file === undefined || file.content === null || file.content === undefined) return { values, stores }
  const source = `file ${file.path}`
  const groups = groupsOf(settingRows)
  const known = settingRows.map(({ key }) => key)
  const top = [...new Set([...known.map((key) => key.split(".")[0]!), "stores"])]
  for (const [name, value] of entries(file.content, "the configuration", source)) {
    if (name === "stores") {
      for (const [store, content] of entries(value, "stores", source)) {
        checkStoreName(store, source)
        stores.set(store, storeValues(store, content, source))
      }
    } else if (groups.has(name) && !(name === REPOSITORY && typeof value === "string")) {
      for (const [inner, innerValue] of entries(value, name, source)) {
        const given = `${name}.${inner}`
        const key = given === REPOSITORY_URL ? REPOSITORY : given
        if (!known.includes(key)) throw unknownKey(key, source, [...known, REPOSITORY_URL])
        values.set(key, { value: innerValue, source })
      }
    } else {
      if (!top.includes(name)) throw unknownKey(name, source, top)
      values.set(name, { value, source })
    }
  }
  return { values, stores }
}

function storeValues(store: string, content: unknown, source: string): Map<string, Given> {
  const known = storeSettingRows.map(({ key }) => key)
  const groups = groupsOf(storeSettingRows)
  const values = new Map<string, Given>()
  const set = (key: string, value: unknown): void => {
    if (!known.includes(key)) throw unknownKey(`stores.${store}.${key}`, source, known, key)
    values.set(key, { value, source })
  }
  for (const [name, value] of entries(content ?? {}, `stores.${store}`, source)) {
    if (!groups.has(name)) set(name, value)
    else {
      for (const [inner, innerValue] of entries(value, `stores.${store}.${name}`, source)) {
        set(`${name}.${inner}`, innerValue)
      }
    }
  }
  return values
}

/** What stands before the dot of keys that have one. */
function groupsOf(rows: readonly SettingRow[]): Set<string> {
  return new Set(rows.flatMap(({ key }) => (key.includes(".") ? [key.split(".")[0]!] : [])))
}

function entries(value: unknown, key: string, source: string): [string, unknown][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value)
  throw new SettingsError(`${key}: must be a map of names to values (from ${source})`)
}

function unknownKey(key: string, source: string, known: readonly string[], name = key): SettingsError {
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? `known: ${known.join(", ")}` : `did you mean ${nearest}?`
  return new SettingsError(`${key}: no such setting (from ${source}); ${hint}`)
}

function checkStoreName(name: string, source: string): void {
  if (STORE_NAME.test(name)) return
  throw new SettingsError(
    `stores: ${JSON.stringify(name)} (from ${source}) is no name of a store; allowed: 1 to 63 of a-z, 0-9 and -, not - first`,
  )
}

function absolute(address: ListenAddress, currentDirectory: string): ListenAddress {
  return "path" in address ? { path: resolve(currentDirectory, address.path) } : address
}

/** Of each listener, the last shard's included. */
function checkAddress(setting: "grpc" | "http", address: ListenAddress, count: number): void {
  const last = shardAddress(address, count - 1)
  if ("path" in last) {
    const pathBytes = Buffer.byteLength(last.path)
    if (pathBytes <= SOCKET_PATH_BYTES_MAX) return
    throw new SettingsError(
      `${setting}: the path of the socket ${last.path} has ${pathBytes} bytes; allowed: ${SOCKET_PATH_BYTES_MAX} or less`,
    )
  }
  if (last.port <= PORT_MAX) return
  throw new SettingsError(
    `${setting}: port ${last.port} of shard ${count - 1} is above ${PORT_MAX}: give a lower one, or fewer shards`,
  )
}

function checkTogether({ grpc, http, shards, limits, stores }: Settings): void {
  checkAddress("grpc", grpc, shards)
  checkAddress("http", http, 1)
  for (const { name, valueBytesMax } of stores) {
    const needed = valueBytesMax + KEY_BYTES_MAX + RECORD_HEADER_BYTES_MAX + MESSAGE_OVERHEAD_BYTES
    if (limits.messageBytesMax < needed) {
      throw new SettingsError(
        `limits.messageBytesMax: ${limits.messageBytesMax} cannot hold the largest record of store ${name} ` +
          `(valueBytesMax ${valueBytesMax}); allowed: ${needed} or more`,
      )
    }
  }
  if (limits.streamInflightBytesMax > limits.inflightBytesMax) {
    throw new SettingsError(
      `limits.streamInflightBytesMax: ${limits.streamInflightBytesMax} is more than limits.inflightBytesMax ` +
        `(${limits.inflightBytesMax}); allowed: that or less`,
    )
  }
}

function environmentWarnings(environment: SettingInput["environment"]): string[] {
  const keys = [...settingRows, ...storeSettingRows.filter(({ flag }) => flag !== undefined)]
  const known = [...keys.map(({ key }) => environmentName(key)), "VARVE_CONFIG"]
  return Object.keys(environment).flatMap((name) => {
    if (!name.startsWith("VARVE_") || known.includes(name)) return []
    const nearest = nearestName(name, known)
    return nearest === undefined ? [] : [`environment variable ${name} is not used; did you mean ${nearest}?`]
  })
}
