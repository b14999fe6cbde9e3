// Loads what only some ways through the program need. Most of a start is loading modules, some hundreds in each thread:
// `require` takes them one after the other, `import` reads and links each by promises, which takes Node much longer.

import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

/**
 * The module that `import(specifier)` would give in the module `from`. It holds the thread until it is loaded, and may not
 * await at its top level, nor may what it imports.
 * @param specifier relative, as in the sources
 * @param from `import.meta.url` of who asks
 */
export async function loadModule<Module>(specifier: string, from: string): Promise<Module> {
  const url = moduleUrl(specifier, from)
  const requires = process.features.require_module && !isSource(from)
  return requires ? createRequire(from)(fileURLToPath(url)) : await import(url.href)
}

/** Where a module lies: compiled, or the source when `from` is run from source. */
export function moduleUrl(specifier: string, from: string): URL {
  return new URL(isSource(from) ? specifier : specifier.replace(/\.ts$/, ".js"), from)
}

function isSource(url: string): boolean {
  return url.endsWith(".ts")
}
