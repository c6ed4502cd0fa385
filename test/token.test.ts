import t from 'tap'
import { expiryOf, parseToken, splitToken, startOfIv, tokenForm } from '../lib/seal/token.js'

const iv = 'A'.repeat(22)
const mac = 'B'.repeat(42) + 'A'
const parts = ['Fe26.2', 'id_1', 'ab12', iv, 'QUJDRA', '1790000000000', 'cd34', mac]
const change = (at: number, value: string): string => parts.map((part, n) => n === at ? value : part).join('*')

t.test('a token is split into its parts', async t => {
  const token = parts.join('*')
  t.same(parseToken(token), {
    id: 'id_1', encryptionSalt: 'ab12', iv, ciphertext: 'QUJDRA', expiry: '1790000000000', integritySalt: 'cd34', mac, signed: parts.slice(0, 6).join('*')
  })
  t.equal(tokenForm.isWhole(token), true)
  t.equal(tokenForm.isWhole(`${token}~2`), true)
  t.ok(token.startsWith(tokenForm.prefix))
  t.equal(expiryOf(parseToken(token)!), 1_790_000_000_000)
  t.equal(expiryOf(parseToken(change(5, ''))!), Infinity)
})

t.test('a string that is not in the form of a seal or not canonical base64url is not a token', async t => {
  const wrong = [
    '', 'Fe26.2', parts.slice(1).join('*'), `${parts.join('*')}*`, `${parts.join('*')}~2`, ` ${parts.join('*')}`, `${parts.join('*')}\n`,
    change(0, 'Fe26.1'), change(0, 'fe26.2'), change(1, 'a-b'), change(1, 'ü'), change(2, 'AB'), change(2, 'xyz'),
    change(3, iv.slice(1)), change(3, iv + 'A'), change(3, iv.slice(1) + 'B'), change(3, iv.slice(1) + '='),
    change(4, ''), change(4, 'QUJDR'), change(4, 'QUJDRB'), change(4, 'QUI'.replace('I', 'B') + '='), change(4, 'QUB'), change(4, 'QU+D'),
    change(5, '0'), change(5, '-1'), change(5, '1e9'), change(5, '1.5'), change(6, 'g'),
    change(7, mac.slice(1)), change(7, mac.slice(0, -1) + 'B'), change(7, `${mac}A`)
  ]
  for (const text of wrong) t.equal(parseToken(text), undefined, text)
  for (const ciphertext of ['QUJD', 'QUI', 'QQ']) t.ok(parseToken(change(4, ciphertext)), ciphertext)
})

t.test('the fast way splits usual tokens as the exact one does, and leaves the others to it', async t => {
  const split = (token: string): ReturnType<typeof splitToken> => splitToken(token, startOfIv(token), '*cd34*')
  const { signed, ciphertext } = parseToken(parts.join('*'))!
  t.same(split(parts.join('*')), { iv, ciphertext, expiresAt: 1_790_000_000_000, signed, mac })
  const others = [
    '', 'Fe26.2', change(3, iv.slice(1) + 'B'), change(3, iv + 'A'), change(4, ''), change(4, 'QUJDR'), change(4, 'QUJDRB'), change(4, 'QU+D'), change(4, 'QU/D'),
    change(5, ''), change(5, '179000000000'), change(5, '0790000000000'), change(5, '17900000000.0'), change(6, 'cd35'), change(7, mac.slice(1))
  ]
  for (const token of others) t.equal(split(token), undefined, token)
})
