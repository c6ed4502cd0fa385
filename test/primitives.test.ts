import { createCipheriv } from 'node:crypto'
import t from 'tap'
import { CipherKey, MacKey } from '../lib/seal/primitives.js'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const latin1 = (bytes: Buffer): string => bytes.toString('latin1')

t.test('HMAC-SHA-256 returns the values of RFC 4231', async t => {
  // Cases 6 and 7 have keys of 131 bytes; ours are always 32.
  const cases: Array<[key: Buffer, data: Buffer, mac: string]> = [
    [Buffer.alloc(20, 0x0b), Buffer.from('Hi There'), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
    [Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?'), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
    [Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
    [hex('0102030405060708090a0b0c0d0e0f10111213141516171819'), Buffer.alloc(50, 0xcd), '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b'],
    [Buffer.alloc(20, 0x0c), Buffer.from('Test With Truncation'), 'a3b6167473100ee06e0c796c2955552b']
  ]
  for (const [key, data, mac] of cases) {
    const computed = new MacKey(key).mac(latin1(data))
    t.equal(Buffer.from(computed, 'base64url').toString('hex').slice(0, mac.length), mac)
    // Seals are ASCII, and nothing else is accepted.
    t.equal(new MacKey(key).verify(latin1(data), computed), data.every(byte => byte < 128))
    t.equal(new MacKey(key).verify(latin1(data), Buffer.alloc(32).toString('base64url')), false)
  }
})

t.test('a string with other characters than ASCII never matches, though their low bytes do', async t => {
  const key = new MacKey(Buffer.alloc(32, 7))
  const text = 'Fe26.2*k**'
  const mac = key.mac(text)
  const widen = (ascii: string, at: number): string => ascii.slice(0, at) + String.fromCharCode(ascii.charCodeAt(at) + 256) + ascii.slice(at + 1)
  t.equal(key.verify(text, mac), true)
  for (const odd of [widen(text, 0), widen(text, 9), `${text}é`, `${text}😀`, text.replace('k', '\u2603')]) t.equal(key.verify(odd, mac), false, odd)
  t.equal(key.verify(text, mac), true)
  for (const at of [0, 20, 42]) t.equal(key.verify(text, widen(mac, at)), false)
  // A character that does not fit into the end of the buffer must not leave the end of an earlier MAC there.
  for (const [tail, length] of [['é', 1], ['\u2603', 1], ['é', 2], ['\u2603', 2], ['😀', 3], ['😀', 2]] as const) {
    t.equal(key.verify(text, mac), true)
    t.equal(key.verify(text, mac.slice(0, -length) + tail.padEnd(length, 'A')), false, `${tail} ${length}`)
  }
  const large = 'x'.repeat(40_000)
  t.equal(key.verify(large, key.mac(large)), true)
  for (const tail of ['é', '\u2603', '😀']) t.equal(key.verify(large.slice(tail.length) + tail, key.mac(large)), false)
})

t.test('the MAC of a string larger than the workspace is correct too', async t => {
  const { createHmac } = await import('node:crypto')
  const key = Buffer.alloc(32, 7)
  for (const size of [0, 1, 63, 64, 65, 32 * 1024 - 64, 32 * 1024 - 63, 100_000]) {
    const text = 'x'.repeat(size)
    t.equal(new MacKey(key).mac(text), createHmac('sha256', key).update(text).digest('base64url'))
  }
})

// NIST SP 800-38A, F.2.5: CBC-AES256.Encrypt
const nist = {
  key: hex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4'),
  iv: hex('000102030405060708090a0b0c0d0e0f'),
  text: hex('6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710'),
  sealed: hex('f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b')
}

t.test('AES-256-CBC decrypts the ciphertext of NIST SP 800-38A, with our padding appended', async t => {
  const last = nist.sealed.subarray(-16)
  const padding = createCipheriv('aes-256-cbc', nist.key, last).setAutoPadding(false).update(Buffer.alloc(16, 16))
  const ciphertext = Buffer.concat([nist.sealed, padding]).toString('base64url')
  const text = new CipherKey(nist.key).decrypt(nist.iv.toString('base64url'), ciphertext)
  t.equal(text, nist.text.toString('utf8'))
})

t.test('data that is not made of whole, padded blocks does not decrypt', async t => {
  const key = new CipherKey(nist.key)
  const iv = nist.iv.toString('base64url')
  const sealed = (plain: Buffer): string => createCipheriv('aes-256-cbc', nist.key, nist.iv).setAutoPadding(false).update(plain).toString('base64url')
  for (const end of [[0], [17], [255], [1, 2], [3, 2, 3]]) {
    const plain = Buffer.concat([Buffer.alloc(16 - end.length, 0x61), Buffer.from(end)])
    t.equal(key.decrypt(iv, sealed(plain)), undefined, String(end))
  }
  t.equal(key.decrypt(iv, sealed(Buffer.alloc(16, 0x61)).slice(0, -2)), undefined)
  t.equal(key.decrypt(iv, sealed(Buffer.alloc(16, 16))), '')
})

t.test('a string of any length and script is restored', async t => {
  const key = new CipherKey(nist.key)
  for (const size of [...Array(100).keys(), 5000, 32 * 1024, 70_000]) {
    for (const character of ['x', 'é', '語', '😀']) {
      const text = character.repeat(size)
      const [iv, ciphertext] = key.encrypt(text).split('*') as [string, string]
      if (key.decrypt(iv, ciphertext) !== text) t.fail(`${character} ${size}`)
    }
  }
  t.pass()
})

t.test('IVs do not repeat, and look random', async t => {
  const key = new CipherKey(nist.key)
  const seals = 200_000
  const seen = new Set<string>()
  const counts = new Array<number>(256).fill(0)
  for (let n = 0; n < seals; n++) {
    const iv = key.encrypt('the same text').slice(0, 22)
    seen.add(iv)
    for (const byte of Buffer.from(iv, 'base64url')) counts[byte]!++
  }
  t.equal(seen.size, seals)
  const expected = seals * 16 / 256
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  // 255 degrees of freedom: a fair source is above 400 less than once in ten million runs.
  t.ok(chiSquare < 400, { chiSquare })
})
