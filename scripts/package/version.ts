const FORM = /^(\d+)\.(\d+)\.(\d+)(?:-(alpha|beta|rc)\.(\d+))?$/
/** Above each stage of the same version. */
const FINAL = 'released'

/** Whether it is a version that we give: `1.2.3`, or `1.2.3-rc.1` for one that is tried first. */
export function isVersion(text: string): boolean {
  return FORM.test(text)
}

/** Whether it is tried first. Such a one is not what `npm install` takes unasked. */
export function isPrerelease(version: string): boolean {
  return version.includes('-')
}

export function isHigher(version: string, than: string): boolean {
  const [a, b] = [partsOf(version), partsOf(than)]
  const at = a.findIndex((part, n) => part !== b[n])
  // The names of the stages are in the order of the alphabet.
  return at !== -1 && a[at]! > b[at]!
}

function partsOf(version: string): readonly (number | string)[] {
  const found = FORM.exec(version)
  if (found === null) throw new Error(`${version} is not a version`)
  const [, major, minor, patch, stage = FINAL, count = '0'] = found
  return [Number(major), Number(minor), Number(patch), stage, Number(count)]
}
