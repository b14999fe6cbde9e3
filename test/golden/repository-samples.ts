// Samples of the objects of a repository.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import {
  ChunkListBuilder,
  decodeClaim,
  decodeInheritance,
  decodeManifest,
  decodePackEntries,
  decodePackTrailer,
  decodeRecipe,
  decodeRepositoryRoot,
  encodeClaim,
  encodeInheritance,
  encodeManifest,
  encodeMovedPack,
  encodePackTail,
  encodeRecipe,
  encodeRepositoryRoot,
  encodeSealedJson,
  type Manifest,
  type ObjectStore,
  PACK_TRAILER_BYTES,
  readMovedPack,
  regionKinds,
} from "@varve/engines/internal"
import { newerFields, newerRoot, newerSealedJson, type Sample } from "./sample.ts"

const PACK = "000102030405060708090a0b0c0d0e0f"
const OTHER_PACK = "101112131415161718191a1b1c1d1e1f"
const RUN = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
const CREATED_MS = 1_767_225_600_000
const chunks = [
  { kind: regionKinds.records, bytes: Buffer.from("alpha") },
  { kind: regionKinds.index, bytes: Buffer.from("be") },
  { kind: regionKinds.recipe, bytes: Buffer.alloc(700, "recipe") },
]

const root: Sample = {
  name: "repository.json",
  called: "repository.json",
  make: () => {
    const chunking = {
      algorithm: "fastcdc-gear32",
      bytesMin: 4096,
      bytesAverage: 16_384,
      bytesMax: 65_536,
    } as const
    return encodeRepositoryRoot({ format: 1, identity: PACK, chunking })
  },
  read: (source) => decodeRepositoryRoot(source, "repository.json"),
  newer: newerRoot,
}

const pack: Sample = {
  name: "chunks.pack",
  called: `packs/records/${PACK}.pack`,
  make: () => {
    const list = new ChunkListBuilder()
    for (const { kind, bytes } of chunks) {
      list.add(kind, bytes.length, crc32(bytes), createHash("sha256").update(bytes).digest())
    }
    return Buffer.concat([...chunks.map(({ bytes }) => bytes), encodePackTail(PACK, list.build())])
  },
  read: (source) => {
    const trailer = decodePackTrailer(source, source.length, pack.called)
    const entries = source.slice(trailer.entriesOffset, -PACK_TRAILER_BYTES)
    return { trailer, entries: decodePackEntries(entries, trailer, pack.called) }
  },
  newer: (source) =>
    newerFields(source, { start: -40, format: 28, formatBytes: 2, crc: 32, covered: [0, 32] }),
}

const recipe: Sample = {
  name: "run.recipe",
  called: "the recipe",
  make: () =>
    encodeRecipe({
      run: RUN,
      runBytes: 70_007,
      packs: [PACK, OTHER_PACK],
      chunks: {
        count: 2,
        kinds: Uint8Array.of(regionKinds.records, regionKinds.index),
        lengths: Uint32Array.of(70_000, 7),
        hashes: Uint8Array.from({ length: 64 }, (_, i) => i),
        packs: Uint32Array.of(0, 1),
        offsets: Uint32Array.of(4096, 0),
      },
    }),
  read: (source) => decodeRecipe(source, recipe.called),
  newer: (source) =>
    newerFields(source, {
      ...{ start: 0, format: 4, formatBytes: 2, crc: source.length - 4 },
      covered: [0, source.length - 4],
    }),
}

const manifest: Manifest = {
  ...{ format: 2, store: "default", partition: 1, partitionCount: 4, timeline: "b", version: 5, epoch: 3 },
  parent: { timeline: "a", version: 2 },
  line: [
    { timeline: "a", version: 2 },
    { timeline: "b", version: 5 },
  ],
  ...{ createdMs: CREATED_MS, engine: "lsm-tree", hashSeed: 7 },
  runs: [
    {
      ...{ id: RUN, level: 1, run: 3, version: 2 },
      ...{ bytes: 600, recordsBytes: 400, recordCount: 4, tombstoneCount: 1 },
      recipe: { pack: PACK, offset: 4096, bytes: 104, hash: "ab".repeat(32) },
    },
  ],
  engineState: { levels: [1] },
  metadata: Buffer.from("offset 42").toString("base64"),
  ...{ recordCount: 3, bytesNew: 1000, bytesReused: 200 },
}

const manifest2: Sample = {
  name: "2.manifest",
  called: "stores/default/1/b/0000000000000005-0000000000000003.manifest",
  make: () => encodeManifest(manifest),
  read: (source) => decodeManifest(source, manifest2.called),
  newer: newerSealedJson,
}

const manifest3: Sample = {
  ...manifest2,
  name: "3.manifest",
  make: () =>
    encodeManifest({
      ...manifest,
      format: 3,
      // Frames 1 to 5 of one session: applied, condition failed, refused, never came, applied.
      sessions: {
        hasForgotten: false,
        table: "AAECAwQFBgcICQoLDA0ODwUAAAAAAAAACQAAAAAAAADkBAAAAAAAAAAAAAAAAAAA",
      },
    }),
}

/** Written no more: by software that knew no owners. */
const manifest1: Sample = {
  name: "1.manifest",
  called: "stores/default/1/b/0000000000000005.manifest",
  make: () => {
    const { epoch: _, ...withoutEpoch } = manifest
    return encodeSealedJson({ ...withoutEpoch, format: 1 })
  },
  read: (source) => decodeManifest(source, manifest1.called),
  newer: newerSealedJson,
}

const claim: Sample = {
  name: "3.claim",
  called: "stores/default/1/owner/0000000000000003.claim",
  make: () => encodeClaim({ epoch: 3, owner: PACK, name: "host:4711", claimedMs: CREATED_MS }),
  read: (source) => decodeClaim(source, claim.called),
  newer: newerSealedJson,
}

const inheritance: Sample = {
  name: "3.inheritance",
  called: "stores/default/1/owner/0000000000000003.inheritance",
  make: () =>
    encodeInheritance({
      ...{ format: 1, epoch: 3, createdMs: CREATED_MS },
      versions: [
        { timeline: "a", epoch: 0, ranges: [[1, 2]] },
        {
          ...{ timeline: "b", epoch: 2 },
          ranges: [
            [3, 3],
            [5, 9],
          ],
        },
      ],
    }),
  read: (source) => decodeInheritance(source, inheritance.called),
  newer: newerSealedJson,
}

const moved: Sample = {
  name: "pack.moved",
  called: `moved/${PACK}`,
  make: () => {
    const stretches = [
      { from: 0, bytes: 900, to: 100 },
      { from: 1500, bytes: 2600, to: 1000 },
    ]
    return encodeMovedPack({ pack: PACK, into: OTHER_PACK, stretches })
  },
  read: (source) => readMovedPack({ get: async () => source } as unknown as ObjectStore, PACK),
  newer: newerSealedJson,
}

export const repositorySamples: readonly Sample[] = [
  root,
  pack,
  recipe,
  manifest1,
  manifest2,
  manifest3,
  claim,
  inheritance,
  moved,
]
