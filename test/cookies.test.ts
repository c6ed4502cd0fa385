import fc from 'fast-check'
import t from 'tap'
import { findCookies } from '../lib/cookie/parse.js'
import type { Found, TokenForm } from '../lib/cookie/parse.js'
import { clearCookies, isFor, setCookies } from '../lib/cookie/serialize.js'
import type { CookieFormat } from '../lib/cookie/serialize.js'

/** Here every value is a token, except those that begin with a or A, which need further chunks. */
const anything: TokenForm = { prefix: '', isWhole: value => !/^a$/i.test(value) }
const find = (header: string, form = anything): Found => findCookies(header, 'sid', form)

/** A simple parser after RFC 6265, section 5.4: pairs between semicolons. */
function naive (header: string, name: string): string[] {
  return header.split(';').map(pair => pair.trim()).filter(pair => pair.startsWith(`${name}=`)).map(pair => pair.slice(name.length + 1).trim())
}

t.test('cookies of the exact name are found anywhere in the header', async t => {
  const cases: Array<[header: string, found: string[]]> = [
    ['sid=a', ['a']], ['sid=b; sid=c; sid=b', ['b', 'c']], ['x=1; sid=a;y=2', ['a']], ['x=1;sid=a', ['a']], ['x=1; \tsid=a ; y=2', ['a']],
    ['xsid=a; sid2=b; SID=c; s=d; sidsid=e; .sid=f', []], ['x=sid=a', []], ['x=" ;sid=a"', ['a"']], ['sid', []], ['sid=', ['']], ['sid =a', []],
    [' sid=a', []], ['', []], ['sid=a=b', ['a=b']], ['sid.1=a', []], ['sid.9=a; sid=b', ['b']], ['__Host-sid=a', []]
  ]
  for (const [header, found] of cases) t.same(find(header).candidates, found, header)
})

t.test('any header is parsed as a simple parser would parse it', async t => {
  const piece = fc.constantFrom('sid', 'sid2', 'xsid', 'x', '=', ';', '; ', ' ', '\t', 'value', '.', '.9', 'a')
  await fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), pieces => {
    const header = pieces.join('').trim()
    const { candidates } = find(header, { ...anything, isWhole: () => true })
    return JSON.stringify(candidates) === JSON.stringify([...new Set(naive(header, 'sid'))].slice(0, 16))
  }), { numRuns: 5000, seed: 20260101 })
  t.pass()
})

t.test('only the first sixteen cookies of one name are tried', async t => {
  const header = Array.from({ length: 1000 }, (_, n) => `sid=${n}`).join('; ')
  t.same(find(header), { candidates: Array.from({ length: 16 }, (_, n) => `${n}`), parts: 1, more: true })
  const chunks = Array.from({ length: 6 }, (_, n) => `sid=${n}; sid.1=${n}`).join('; ')
  const found = find(chunks, { ...anything, isWhole: value => value.length === 2 })
  t.equal(found.more, true, 'the chunks can be joined in 36 ways')
  t.same(found.candidates.slice(0, 7), ['00', '11', '22', '33', '44', '55', '01'])
  t.equal(found.candidates.length, 16)
})

t.test('values that are not in the form of a token and duplicates do not count among the sixteen', async t => {
  const form: TokenForm = { prefix: 'T', isWhole: value => /^T\d+$/.test(value) }
  const junk = Array.from({ length: 100 }, (_, n) => `sid=junk${n}; sid=Tjunk${n}; sid=T1`).join('; ')
  t.same(find(`${junk}; sid=T2`, form), { candidates: ['T1', 'T2'], parts: 1, more: false })
  t.same(find('sid=junk; sid=Tjunk', form), { candidates: ['Tjunk'], parts: 1, more: false }, 'if none has the form, one is kept for the reason')
  t.same(find('sid=junk; sid=rubbish', form), { candidates: ['junk'], parts: 1, more: false })
  t.same(find(`${junk.replaceAll('T1', 'x')}; sid=T1; sid.1=9; sid.1=2`, form).candidates, ['T1'])
  t.same(find('sid=rubbish; sid=T; sid.1=9; sid.1=9', form).candidates, ['T9'])
})

t.test('chunks are joined in order, up to the first one that is missing', async t => {
  t.same(find('sid.1=b; sid=a; sid.2=c', { ...anything, isWhole: value => value === 'abc' }), { candidates: ['abc'], parts: 0b111, more: false })
  t.same(find('sid=a; sid.2=c'), { candidates: ['a'], parts: 0b101, more: false })
  t.same(find('sid.1=b; sid.7=h'), { candidates: [], parts: 0b10000010, more: false })
  t.same(find('sid=a; sid.1=b; sid=A; sid.1=B').candidates, ['ab', 'AB', 'aB', 'Ab'], 'chunks with the same position are tried first')
  t.same(find('sid=a; sid=A; sid.1=b').candidates, ['ab', 'Ab'])
  t.same(find('sid=a; sid.0=x; sid.8=y; sid.=z; sid.1x=w'), { candidates: ['a'], parts: 1, more: false })
})

const format = (maxCookies: number): CookieFormat => ({ name: 'sid', attributes: '; Path=/; HttpOnly', maxCookies })

t.test('a token is split when its cookie exceeds 4096 bytes', async t => {
  const room = 4096 - 'sid='.length - '; Path=/; HttpOnly'.length
  const counts = [room, room + 1, room + room - 2, room + room - 1, 8 * room - 14, 8 * room - 13].map(size => setCookies(format(8), 'x'.repeat(size), false)?.length)
  t.same(counts, [1, 2, 2, 3, 8, undefined])
  t.equal(setCookies(format(1), 'x'.repeat(room + 1), false), undefined)
  t.equal(setCookies(format(1), 'x'.repeat(room), 60), undefined, 'Max-Age counts too')
})

t.test('the chunks of a token fit into cookies and join to the same token', async t => {
  await fc.assert(fc.property(fc.integer({ min: 1, max: 32_000 }), fc.constantFrom(60, false as const), (size, maxAge) => {
    const token = Array.from({ length: size }, (_, at) => (at % 36).toString(36)).join('')
    const cookies = setCookies(format(8), token, maxAge)!
    const header = cookies.map(cookie => cookie.slice(0, cookie.indexOf(';'))).join('; ')
    return cookies.every(cookie => cookie.length <= 4096) && find(header, { ...anything, isWhole: value => value === token }).candidates[0] === token
  }), { numRuns: 200, seed: 20260101 })
  t.pass()
})

t.test('clearing names every chunk that the client holds', async t => {
  t.same(clearCookies(format(1), 0), [])
  t.same(clearCookies(format(1), 0b101).map(cookie => cookie.split('; ')[0]), ['sid=', 'sid.2='])
  t.match(clearCookies(format(1), 1), ['sid=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly'])
})

t.test('a Set-Cookie is recognized by its exact name', async t => {
  for (const cookie of ['sid=a', 'sid=', 'sid.1=a', 'sid.7=a']) t.equal(isFor('sid', cookie), true, cookie)
  for (const cookie of ['sid2=a', 'sid.8=a', 'sid.0=a', 'xsid=a', 'sid', 'sid.x=a', 'Sid=a']) t.equal(isFor('sid', cookie), false, cookie)
})
