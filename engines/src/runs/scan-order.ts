// The order in which a scan goes through the hashes of an index that grows meanwhile: by their reversed bits, as the cursor
// of Redis's dict scan does (P. Noordhuis, 2012). A bucket has the hashes that end in the same bits, which are one stretch of
// that order; splitting it cuts the stretch in two and moves nothing past the scan's position.
//
//   position := reversed bits of h1 * 2^16 + h2         0 is the first one, POSITION_END is behind the last

const H2_SPAN = 2 ** 16
/** As many bits as a position has: those of a hash. */
const POSITION_BITS = 48
export const POSITION_END = 2 ** POSITION_BITS

/** Where a hash comes in a scan. Both halves as unsigned integers; `h1` may be signed. */
export function positionOf(h1: number, h2: number): number {
  return reverseBits(h1) * H2_SPAN + h2
}

/** The first half of the hash at a position. */
export function hashAt(position: number): number {
  return reverseBits(Math.floor(position / H2_SPAN))
}

/** The end of the stretch around `position` that a bucket has by which `depth` bits of a hash decide. */
export function stretchEnd(position: number, depth: number): number {
  const width = 2 ** (POSITION_BITS - depth)
  return (Math.floor(position / width) + 1) * width
}

/** The bits of a 32-bit word, last one first; unsigned. */
function reverseBits(word: number): number {
  let bits = word
  bits = ((bits >>> 1) & 0x55555555) | ((bits & 0x55555555) << 1)
  bits = ((bits >>> 2) & 0x33333333) | ((bits & 0x33333333) << 2)
  bits = ((bits >>> 4) & 0x0f0f0f0f) | ((bits & 0x0f0f0f0f) << 4)
  bits = ((bits >>> 8) & 0x00ff00ff) | ((bits & 0x00ff00ff) << 8)
  return ((bits >>> 16) | (bits << 16)) >>> 0
}
