// What a page of figures has counted, and that it never becomes less: who reads it takes that for a new beginning.

import { ok } from "node:assert"

/** Samples of all counters and histograms, by their names and labels. */
export type CountedSamples = ReadonlyMap<string, number>

/** @param http where a daemon has its page */
export async function countedSamples(http: string): Promise<CountedSamples> {
  const page = await (await fetch(`${http}/metrics`)).text()
  const samples = new Map<string, number>()
  let isCounted = false
  for (const line of page.split("\n")) {
    const type = /^# TYPE \S+ (\w+)/.exec(line)?.[1]
    if (type !== undefined) isCounted = type === "counter" || type === "histogram"
    else if (isCounted && !line.startsWith("#")) {
      const end = line.lastIndexOf(" ")
      samples.set(line.slice(0, end), Number(line.slice(end + 1)))
    }
  }
  return samples
}

/** @param before an earlier page of the same daemon */
export function noLessThan(before: CountedSamples, now: CountedSamples): void {
  ok(before.size > 0)
  for (const [sample, count] of before) {
    const found = now.get(sample)
    ok(found !== undefined && found >= count, `${sample} was ${count}, now it is ${found}`)
  }
}
