// The figures of the suite `images`, for people.

import type { ImageFigure, ImageFigures, ModeFigures } from "./images.ts"
import { table } from "./table.ts"

/** What SnapStore says that it needs less than whole images. */
const PUBLISHED_RATIO = 2.4

/** Tables and lines. */
export function imageLines({ bytes, bytesZero, modes, zstdBytes }: ImageFigures): string[] {
  const nonzero = bytes - bytesZero
  const head = [
    "stored",
    "MB",
    "whole ÷ stored",
    "without zero pages",
    "first MB",
    "second MB",
    "store MB/s",
    "load MB/s",
    "cached MB/s",
  ]
  const rows = modes.map((mode) => [
    `kinds ${mode.regionKinds}`,
    megabytes(mode.bytesStored),
    ratio(bytes, mode.bytesStored),
    ratio(nonzero, mode.bytesStored),
    megabytes(newBytes(mode, 1)),
    megabytes(newBytes(mode, 2)),
    rate(mode, ({ storeMs }) => storeMs),
    rate(mode, ({ loadColdMs }) => loadColdMs),
    rate(mode, ({ loadCachedMs }) => loadCachedMs),
  ])
  if (zstdBytes !== undefined) {
    rows.push(["tar | zstd", megabytes(zstdBytes), ratio(bytes, zstdBytes), ratio(nonzero, zstdBytes)])
  }
  return [
    `whole images: ${megabytes(bytes)} MB, of which zero pages ${((bytesZero / bytes) * 100).toFixed(0)} %; published for whole ÷ stored: ${PUBLISHED_RATIO}`,
    "",
    ...table(head, rows, 1),
    "",
    ...programTable(modes[0]!),
  ]
}

function programTable({ images }: ModeFigures): string[] {
  const head = [
    "program",
    "regions",
    "MB",
    "zero %",
    "first new MB",
    "second new MB",
    "store ms",
    "load ms",
    "cached ms",
  ]
  const rows = images
    .filter(({ instance }) => instance === 1)
    .map((first) => {
      const second = images.find(({ program, instance }) => program === first.program && instance === 2)!
      return [
        first.program,
        String(second.regions),
        megabytes(second.bytes),
        ((second.bytesZero / second.bytes) * 100).toFixed(0),
        megabytes(first.bytesNew),
        megabytes(second.bytesNew),
        second.storeMs.toFixed(0),
        second.loadColdMs.toFixed(0),
        second.loadCachedMs.toFixed(1),
      ]
    })
  return table(head, rows, 1)
}

function newBytes({ images }: ModeFigures, of: number): number {
  return images.reduce((sum, { instance, bytesNew }) => sum + (instance === of ? bytesNew : 0), 0)
}

/** Megabytes of memory a second, zero pages included, over all images. */
function rate({ images }: ModeFigures, ms: (image: ImageFigure) => number): string {
  const bytes = images.reduce((sum, image) => sum + image.bytes, 0)
  return (bytes / 1000 / images.reduce((sum, image) => sum + ms(image), 0)).toFixed(0)
}

function ratio(whole: number, stored: number): string {
  return (whole / stored).toFixed(2)
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
