// Names of objects: what an ObjectStore accepts as a key. A key may become a path, so it is checked before.

/** Bytes of a key, and of one of its segments: what file systems and S3 both take. */
export const OBJECT_KEY_BYTES_MAX = 1024
export const OBJECT_KEY_SEGMENT_BYTES_MAX = 255

const SEGMENT = /^[A-Za-z0-9._-]+$/

/** True for `a/b/c` whose segments are made of `[A-Za-z0-9._-]` and are not `.` or `..`. */
export function isObjectKey(key: string): boolean {
  return key.length <= OBJECT_KEY_BYTES_MAX && key.split("/").every(isObjectKeySegment)
}

/** True for what may stand between the slashes of a key. */
export function isObjectKeySegment(segment: string): boolean {
  if (segment.length > OBJECT_KEY_SEGMENT_BYTES_MAX) return false
  return SEGMENT.test(segment) && segment !== "." && segment !== ".."
}
