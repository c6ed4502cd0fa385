// The order matters: most browsers also name those that they descend from.
const browsers: Array<[RegExp, string]> = [
  [/\bEdg/, 'Edge'], [/\bOPR\//, 'Opera'], [/\bSamsungBrowser\//, 'Samsung Internet'], [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/(?:Chrome|CriOS)\//, 'Chrome'], [/\bSafari\//, 'Safari'], [/^curl\//, 'curl']
]
const systems: Array<[RegExp, string]> = [
  [/\biPhone\b/, 'iPhone'], [/\biPad\b/, 'iPad'], [/\bAndroid\b/, 'Android'], [/\bWindows\b/, 'Windows'], [/\bCrOS\b/, 'ChromeOS'],
  [/\bMacintosh\b/, 'Mac'], [/\bLinux\b/, 'Linux']
]

/** A name that users recognize, from the User-Agent header: "Safari on iPhone". It is a hint, since clients can send what they like. */
export function deviceName (userAgent = ''): string {
  const [browser, system] = [browsers, systems].map(list => list.find(([pattern]) => pattern.test(userAgent))?.[1])
  if (browser === undefined) return system ?? 'Unknown device'
  return system === undefined ? browser : `${browser} on ${system}`
}
