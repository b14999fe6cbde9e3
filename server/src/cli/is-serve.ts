// Whether a command line runs the daemon, told before there is anything that understands command lines.

/** With these a command line prints something and ends. */
const PRINTING: readonly string[] = ["--help", "-h", "--version", "-V"]

/** @param words without node and script */
export function isServe(words: readonly string[]): boolean {
  if (words.some((word) => PRINTING.includes(word))) return false
  return words.find((word) => !word.startsWith("-")) === "serve"
}
