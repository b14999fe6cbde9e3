import { openEngine } from "@varve/engines"
import { openObjectStore, systemSeams, Repository, RunShelf, VersionReader, verifyVersions, compareVersions, KeyHistory } from "@varve/engines/internal"
import { mkdtempSync, rmSync } from "node:fs"
const N = 1_000_000
for (const engine of ["hybrid-log", "lsm-tree"]) {
  const dir = mkdtempSync("/tmp/q3-bench-")
  try {
    const e = await openEngine({ engine, directory: dir + "/p", repository: `file:${dir}/r` })
    const v = Buffer.alloc(100, "x")
    for (let i = 0; i < N; i++) { v.writeUInt32LE(i, 0); const p = e.set(Buffer.from(`key:${String(i).padStart(12, "0")}`), v); if (p) await p }
    const { timeline } = await e.snapshot({ version: 1 })
    for (let i = 0; i < 1000; i++) { const p = e.set(Buffer.from(`key:${String(i * 997).padStart(12, "0")}`), Buffer.from("changed")); if (p) await p }
    await e.snapshot({ version: 2 })
    await e.close()
    const seams = systemSeams({ threads: 1 })
    const os = await openObjectStore(`file:${dir}/r`, seams)
    const r = await Repository.open(os, seams)
    const shelf = new RunShelf(r)
    const m = [], readers = []
    for (const version of [1, 2]) { m.push(await r.readManifest("default", 0, { timeline, version })); readers.push(await VersionReader.open(m.at(-1), shelf)) }
    const time = async (what, f) => { const t = performance.now(); const x = await f(); const ms = performance.now() - t; console.log(engine, what, x, ms.toFixed(0), "ms"); return ms }
    await time("get", async () => (await readers[1].get(Buffer.from("key:000000500000"))).length)
    await time("scan", async () => { let n = 0; for await (const p of readers[1].records()) n += p.recordCount; return n })
    const t = await time("verify", async () => { const x = await verifyVersions(os, r, m); return JSON.stringify(x) })
    await time("diff", async () => { let n = 0; for await (const p of compareVersions(r, shelf, readers[0], readers[1])) n += p.length; return n })
    console.log("rss MiB", process.memoryUsage().rss / 2 ** 20 | 0)
    await shelf.close(); await r.close(); await os.close(); await seams.close()
  } finally { rmSync(dir, { recursive: true }) }
}
