// The setting `repository`: a directory or a bucket. What stands in it is checked before anything is opened, and what
// may be a secret in the wrong place is not printed.

import { resolve } from "node:path"
import { formatS3Url, isEngineError, parseS3Url } from "@varve/engines/internal"
import { z } from "zod"

const URL_BYTES_MAX = 4096

/** `file:DIR` or an s3: URL; the issue says what is wrong with the latter. */
export const repositoryForm = z
  .string()
  .max(URL_BYTES_MAX)
  .check((context) => {
    const message = faultOfRepository(context.value)
    if (message !== undefined) context.issues.push({ code: "custom", input: undefined, message })
  })

/** The URL as it travels: with an absolute directory, or in the one form of s3: URLs. */
export function absoluteRepository(url: string, currentDirectory: string): string {
  if (isS3(url)) return formatS3Url(parseS3Url(url))
  return `file:${resolve(currentDirectory, url.slice("file:".length))}`
}

/** The URL for a message: without what stands before "@" or behind "?". */
export function shownRepository(url: unknown): string {
  return JSON.stringify(
    String(url)
      .replace(/\/\/.*@/s, "//…@")
      .replace(/\?.*/s, "?…"),
  )
}

/** What is wrong with the URL of a repository; undefined when nothing is. */
export function faultOfRepository(url: string): string | undefined {
  if (!isS3(url)) return /^file:./.test(url) ? undefined : "it is neither file: nor s3:"
  try {
    parseS3Url(url)
    return undefined
  } catch (error) {
    if (!isEngineError(error)) throw error
    return error.message
  }
}

function isS3(url: string): boolean {
  return /^s3:/i.test(url)
}
