export function median (numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export interface Spread { median: number, min: number, max: number }

export function spread (numbers: readonly number[]): Spread {
  return { median: median(numbers), min: Math.min(...numbers), max: Math.max(...numbers) }
}

/** `0.97 (0.94–1.02)` */
export function showSpread ({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`
}

/** One number over another, pair by pair. */
export function ratios (ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((number, at) => number / theirs[at]!)
}

/** The line through some points by least squares, and how much of their variance it explains (R², 0 to 1). */
export interface Line { base: number, slope: number, explained: number }

export function fit (points: ReadonlyArray<readonly [x: number, y: number]>): Line {
  const mean = (of: (point: readonly [number, number]) => number): number => points.reduce((sum, point) => sum + of(point), 0) / points.length
  const x = mean(([x]) => x)
  const y = mean(([, y]) => y)
  const slope = mean(point => (point[0] - x) * (point[1] - y)) / mean(point => (point[0] - x) ** 2)
  const base = y - slope * x
  const left = mean(point => (point[1] - base - slope * point[0]) ** 2)
  const all = mean(point => (point[1] - y) ** 2)
  return { base, slope, explained: all === 0 ? 1 : 1 - left / all }
}
