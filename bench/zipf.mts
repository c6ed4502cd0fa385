/** Numbers from 0 up to 1, the same ones for the same seed (Mulberry32). */
function seeded (seed: number): () => number {
  let state = seed
  return () => {
    state = state + 0x6D2B79F5 | 0
    let mixed = Math.imul(state ^ state >>> 15, 1 | state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32
  }
}

/**
 * Who of a population makes each request, by Zipf's law: the nth most active user makes 1/n^exponent as many as the most active one.
 * The same arguments give the same users, so that all peers get the same ones.
 */
export function zipf (population: number, exponent: number, amount: number, seed = 1): Int32Array {
  const cumulated = new Float64Array(population)
  let sum = 0
  for (let user = 0; user < population; user++) cumulated[user] = sum += 1 / (user + 1) ** exponent
  const random = seeded(seed)
  return Int32Array.from({ length: amount }, () => {
    const drawn = random() * sum
    let [low, high] = [0, population - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (cumulated[middle]! < drawn) low = middle + 1
      else high = middle
    }
    return low
  })
}
