/** Halfway between black and white, so that it reads on either */
const INK = '#777b80'
const OURS = '#2f81f7'
const THEIRS = '#8b949e'
const LABELS = 250
const BARS = 300
const FIGURES = 60
const LINE = 17
const HEAD = 30

function svg (width: number, height: number, label: string, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
      `font-family="system-ui, sans-serif" font-size="12" fill="${INK}" role="img" aria-label="${label}">`,
    ...body,
    '</svg>',
    ''
  ].join('\n')
}

export interface Bar { title: string, value: number, ours: boolean }
export interface BarGroup { title: string, bars: readonly Bar[] }

/** Groups of bars on one scale. Those beyond `longest` are cut off and say so, or they would leave no room for the others. */
export function barChart (groups: readonly BarGroup[], longest: number, caption: string): string {
  const body: string[] = []
  let y = 0
  for (const { title, bars } of groups) {
    y += HEAD
    body.push(`<text x="0" y="${y - 8}" font-weight="bold">${title}</text>`)
    for (const { title, value, ours } of bars) {
      const length = (Math.min(value / longest, 1) * BARS).toFixed(1)
      body.push(`<text x="${LABELS - 6}" y="${y + 12}" text-anchor="end"${ours ? ' font-weight="bold"' : ''}>${title}</text>` +
        `<rect x="${LABELS}" y="${y + 2}" width="${length}" height="${LINE - 4}" fill="${ours ? OURS : THEIRS}"/>` +
        `<text x="${LABELS + Number(length) + 5}" y="${y + 12}">${value > longest ? '» ' : ''}${value.toFixed(0)}</text>`)
      y += LINE
    }
  }
  body.push(`<text x="0" y="${y + 19}">${caption}</text>`)
  return svg(LABELS + BARS + FIGURES, y + 25, caption, body)
}

export interface Series { title: string, points: ReadonlyArray<readonly [x: number, y: number]>, ours: boolean }
export interface LineChart { title: string, x: string, y: string, series: readonly Series[] }

const WIDTH = 575
const PLOT = 160
const LEFT = 45
const RIGHT = 150
const ROOM = 40

/** Charts of lines, one below the other, each from zero. */
export function lineCharts (charts: readonly LineChart[], caption: string): string {
  const each = HEAD + PLOT + 45
  const body = charts.flatMap((chart, nth) => lineChart(chart, nth * each + HEAD))
  body.push(`<text x="0" y="${charts.length * each + 12}">${caption}</text>`)
  return svg(WIDTH, charts.length * each + 20, caption, body)
}

function lineChart ({ title, x: xTitle, y: yTitle, series }: LineChart, top: number): string[] {
  const points = series.flatMap(({ points }) => points)
  const right = Math.max(...points.map(([x]) => x))
  const highest = Math.max(...points.map(([, y]) => y)) * 1.1
  const x = (value: number): string => (LEFT + value / right * (WIDTH - LEFT - RIGHT)).toFixed(1)
  const y = (value: number): string => (top + PLOT * (1 - value / highest)).toFixed(1)
  // Of the values that were measured those that have room for their figures.
  const marks: number[] = []
  for (const value of [right, ...points.map(([x]) => x).sort((a, b) => b - a)]) {
    if (marks.every(mark => Math.abs(Number(x(mark)) - Number(x(value))) > ROOM)) marks.push(value)
  }
  // Names that would lie on each other are pushed apart.
  let below = -Infinity
  const names = new Map<Series, number>()
  for (const each of [...series].sort((a, b) => b.points.at(-1)![1] - a.points.at(-1)![1])) {
    below = Math.max(Number(y(each.points.at(-1)![1])) + 4, below + 14)
    names.set(each, below)
  }
  return [
    `<text x="0" y="${top - 12}" font-weight="bold">${title}</text>`,
    `<path d="M${LEFT} ${top}V${top + PLOT}H${WIDTH - RIGHT}" fill="none" stroke="${INK}"/>`,
    `<text x="${LEFT - 5}" y="${top + 10}" text-anchor="end">${Number(highest.toPrecision(2))}</text>`,
    `<text x="${LEFT - 5}" y="${top + PLOT}" text-anchor="end">0</text>`,
    `<text x="${LEFT + 5}" y="${top + 10}">${yTitle}</text>`,
    ...marks.map(mark => `<text x="${x(mark)}" y="${top + PLOT + 15}" text-anchor="middle">${Number(mark.toPrecision(3))}</text>`),
    `<text x="${WIDTH - RIGHT}" y="${top + PLOT + 31}" text-anchor="end">${xTitle}</text>`,
    ...series.flatMap(each => {
      const colour = each.ours ? OURS : THEIRS
      return [
        `<polyline points="${each.points.map(([a, b]) => `${x(a)},${y(b)}`).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        `<text x="${WIDTH - RIGHT + 8}" y="${names.get(each)}" fill="${colour}">${each.title}</text>`
      ]
    })
  ]
}
