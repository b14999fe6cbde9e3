// A scan of the state that was there when it began. A restore puts another state in its place, and the old one lets go of its
// runs: what a scan would find then is a mixture of pages, or no run where the index points to.

/**
 * The pages, until `checkPresent` throws.
 * @throws (rejects) what `checkPresent` throws, also in the place of an error of `pages` that comes of it
 */
export async function* presentPages<Page>(
  pages: AsyncIterable<Page>,
  checkPresent: () => void,
): AsyncGenerator<Page> {
  try {
    for await (const page of pages) {
      checkPresent()
      yield page
    }
  } catch (error) {
    checkPresent()
    throw error
  }
}
