// Whether a command line runs the daemon, told before there is anything that understands command lines.

/** @param words without node and script */
export function isServe(words: readonly string[]): boolean {
  return words.find((word) => !word.startsWith("-")) === "serve"
}
