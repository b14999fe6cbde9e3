// The page at `/`: what runs here, at a glance. Plain HTML, nothing loaded from elsewhere.

import type { DescribeResponse, DrillDescription, PartitionDescription, StoreDescription } from "@varve/proto"
import { bytesText } from "../cli/values.ts"

const style =
  "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;margin:1rem 0}" +
  "td,th{padding:.25rem .75rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}"

const links = ["/metrics", "/healthz", "/readyz", "/v1/describe"]

/** The page for what `describe` answered. */
export function statusPage({ node, stores }: DescribeResponse): string {
  const started = new Date(Number(node?.startedMs ?? 0n)).toISOString()
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Varve</title><style>${style}</style></head><body>`,
    `<h1>Varve ${escapeHtml(node?.softwareVersion ?? "")}</h1>`,
    `<p>Instance ${escapeHtml(node?.instance ?? "")}, started ${started}.</p>`,
    `<p>${links.map((link) => `<a href="${link}">${link}</a>`).join(" · ")}</p>`,
    ...stores.map(storeSection),
    "</body></html>\n",
  ].join("\n")
}

const columns: readonly (readonly [string, (partition: PartitionDescription) => string])[] = [
  ["partition", ({ partition }) => String(partition)],
  ["slots", ({ slotFirst, slotLast }) => `${slotFirst} to ${slotLast}`],
  ["start", ({ recovery, fenced }) => (fenced ? "fenced" : recovery)],
  ["version", ({ version }) => String(version)],
  ["timeline", ({ timeline }) => timeline],
  ["records", ({ statistics }) => String(statistics?.records ?? 0n)],
  ["memory without index", ({ statistics }) => bytesText(statistics?.memoryBytes ?? 0n)],
  ["index in memory", ({ statistics }) => bytesText(statistics?.indexBytes ?? 0n)],
  ["disk", ({ statistics }) => bytesText(statistics?.diskBytes ?? 0n)],
  ["runs", ({ statistics }) => (statistics?.runsByLevel ?? []).join(" + ") || "0"],
]

function storeSection(store: StoreDescription): string {
  const head = columns.map(([name]) => `<th>${name}</th>`).join("")
  const rows = store.partitions.map(
    (partition) =>
      `<tr>${columns.map(([, text]) => `<td>${escapeHtml(text(partition))}</td>`).join("")}</tr>`,
  )
  const versions = `/v1/stores/${encodeURIComponent(store.name)}/snapshots`
  return (
    `<h2>Store ${escapeHtml(store.name)}</h2><p>Engine ${escapeHtml(store.engine)}, durability ${escapeHtml(store.durability)}, ` +
    `versions in ${escapeHtml(store.repository)} (<a href="${versions}">list</a>).</p>` +
    drillLine(store.lastDrill) +
    `<table><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>`
  )
}

function drillLine(drill: DrillDescription | undefined): string {
  if (drill === undefined) return ""
  const when = new Date(Number(drill.endedMs)).toISOString()
  const damage = drill.damage.map((line) => `<li>${escapeHtml(line)}</li>`).join("")
  return drill.passed
    ? `<p>Restore drill of ${when}: version ${drill.version} can be restored.</p>`
    : `<p><strong>Restore drill of ${when}: version ${drill.version} cannot be restored:</strong></p><ul>${damage}</ul>`
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? "")
}
