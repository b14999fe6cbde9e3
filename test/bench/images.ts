// Function images of real processes: how much less is stored than their memory takes, what region kinds do for that, how
// fast images are stored and loaded.
//
//   15 programs × 2 instances of different input ── dumped ──┬─► repository, kinds apart     first instances, then second
//                                                            ├─► repository, kinds together
//                                                            └─► tar | zstd, for comparison: it compresses, images do not

import { createHash, type Hash } from "node:crypto"
import { createReadStream } from "node:fs"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { type ImageStore, openImageStore } from "@varve/engines"
import type { ImageName } from "@varve/engines/internal"
import { bytesOnDisk } from "./bytes-on-disk.ts"
import type { ImageOptions } from "./image-options.ts"
import { imagePrograms } from "./image-programs.ts"
import { imageLines } from "./image-tables.ts"
import { runPeer } from "./peer-process.ts"
import { dumpProgram, type RegionFile } from "./process-image.ts"
import { median } from "./rounds.ts"
import { makeScratch } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"

const INSTANCES = [1, 2] as const
const LOADS = 3
const CACHE_BYTES = 1024 * 1024 * 1024
const THREADS = 2

/** One image of one program. */
export interface ImageFigure {
  readonly program: string
  readonly instance: number
  readonly regions: number
  readonly bytes: number
  readonly bytesZero: number
  readonly bytesNew: number
  readonly storeMs: number
  /** Medians: each chunk from the directory and hashed; all of it in memory. */
  readonly loadColdMs: number
  readonly loadCachedMs: number
}

export interface ModeFigures {
  readonly regionKinds: "apart" | "together"
  /** Of the whole repository. */
  readonly bytesStored: number
  readonly images: readonly ImageFigure[]
}

export interface ImageFigures {
  readonly bytes: number
  readonly bytesZero: number
  readonly modes: readonly ModeFigures[]
  /** Bytes of one archive of all dumps; undefined without zstd. */
  readonly zstdBytes: number | undefined
}

interface Dump {
  readonly program: string
  readonly instance: number
  readonly regions: readonly RegionFile[]
}

/** Runs the suite. */
export async function benchImages(options: ImageOptions): Promise<SuiteResult> {
  const programs = imagePrograms(options.programs)
  const scratch = makeScratch("images")
  try {
    const dumps: Dump[] = []
    for (const instance of INSTANCES) {
      for (const program of programs) {
        process.stderr.write(`  ${program.name} ${instance}\n`)
        const regions = await dumpProgram(
          program,
          instance,
          join(scratch.path, `${program.name}-${instance}`),
        )
        dumps.push({ program: program.name, instance, regions })
      }
    }
    const zstdBytes = await archive(scratch.path)
    const modes: ModeFigures[] = []
    for (const regionKinds of ["apart", "together"] as const) {
      process.stderr.write(`  storing and loading, kinds ${regionKinds}\n`)
      modes.push(await measure(dumps, join(scratch.path, `~repository-${regionKinds}`), regionKinds))
    }
    const sum = (of: (image: ImageFigure) => number): number =>
      modes[0]!.images.reduce((all, each) => all + of(each), 0)
    const figures = {
      bytes: sum(({ bytes }) => bytes),
      bytesZero: sum(({ bytesZero }) => bytesZero),
      modes,
      zstdBytes,
    }
    return {
      suite: "images",
      parameters: {
        programs: programs.map(({ name }) => name).join(", "),
        instances: INSTANCES.length,
        chunks: "FastCDC 4, 16, 64 KiB between zero pages",
        threads: THREADS,
        cold: "chunks from the directory, each hashed; the system's page cache is warm",
      },
      lines: imageLines(figures),
      figures,
    }
  } finally {
    await scratch.remove()
  }
}

async function measure(
  dumps: readonly Dump[],
  directory: string,
  regionKinds: ModeFigures["regionKinds"],
): Promise<ModeFigures> {
  const repository = `file:${directory}`
  const writer = await openImageStore({ repository, regionKinds, threads: THREADS })
  const cold = await openImageStore({ repository, chunkCacheBytes: 0 })
  const cached = await openImageStore({ repository, chunkCacheBytes: CACHE_BYTES })
  try {
    const stored = []
    for (const dump of dumps) {
      const regions = dump.regions.map(({ kind, address, path, bytes }) => {
        return { kind, address, bytes: { path, offset: 0, length: bytes } }
      })
      const startedMs = performance.now()
      const result = await writer.store(dump.program, regions)
      stored.push({ dump, result, storeMs: performance.now() - startedMs })
    }
    const bytesStored = bytesOnDisk(directory)
    const images: ImageFigure[] = []
    for (const { dump, result, storeMs } of stored) {
      const { program, instance, regions } = dump
      const image = { name: program, id: result.id }
      // Proven once, and in memory from here on.
      await checkImage(cached, image, regions)
      images.push({
        program,
        instance,
        regions: regions.length,
        bytes: result.bytes,
        bytesZero: result.bytesZero,
        bytesNew: result.bytesNew,
        storeMs,
        loadColdMs: await loadMs(cold, image),
        loadCachedMs: await loadMs(cached, image),
      })
    }
    return { regionKinds, bytesStored, images }
  } finally {
    for (const store of [writer, cold, cached]) await store.close()
  }
}

/** Median time to have all pieces of an image in hand. */
async function loadMs(store: ImageStore, image: ImageName): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < LOADS; round++) {
    const startedMs = performance.now()
    for await (const _ of (await store.load(image)).pieces());
    times.push(performance.now() - startedMs)
  }
  return median(times)
}

/** @throws when what comes back is not what the dump has */
async function checkImage(
  store: ImageStore,
  image: ImageName,
  regions: readonly RegionFile[],
): Promise<void> {
  const hashes: Hash[] = regions.map(() => createHash("sha256"))
  for await (const { region, length, bytes } of (await store.load(image)).pieces()) {
    hashes[region]!.update(bytes ?? Buffer.alloc(length))
  }
  for (const [i, { path }] of regions.entries()) {
    const hash = createHash("sha256")
    await pipeline(createReadStream(path), hash)
    if (hash.digest("hex") !== hashes[i]!.digest("hex"))
      throw new Error(`region ${i} of ${image.name} came back wrong`)
  }
}

/** All dumps in one archive. */
async function archive(directory: string): Promise<number | undefined> {
  const script =
    'command -v zstd > /dev/null || exit 0; tar -C "$0" -cf - . 2> /dev/null | zstd -q -c | wc -c'
  const output = await runPeer("sh", ["-c", script, directory])
  return output === "" ? undefined : Number(output)
}
