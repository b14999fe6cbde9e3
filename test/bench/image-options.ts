// Options of the `images` suite: text from the command line, checked once.

import { namesOf } from "./engine-options.ts"
import { imageProgramNames } from "./image-programs.ts"

export interface ImageOptions {
  /** Programs to take images of; those that the machine does not have are left out. */
  readonly programs: readonly string[]
}

/** As they are written: `parseArgs` of node:util takes this. */
export const imageOptionTable = {
  programs: { type: "string" },
} as const

export type ImageOptionTexts = { readonly [name in keyof typeof imageOptionTable]?: string }

/** @throws OptionError that names the option, its value and what is allowed */
export function parseImageOptions(texts: ImageOptionTexts): ImageOptions {
  return { programs: namesOf("programs", texts.programs, imageProgramNames) }
}
