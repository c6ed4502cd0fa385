import { execFileSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '../serve.mjs'
import { buildApp } from './app.mjs'
import type { Certificate } from './app.mjs'

/** A certificate for localhost that lasts for a day, made by openssl. */
function makeCertificate (): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-sealed-session-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')] as const
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-keyout', key, '-out', cert,
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'
    ], { stdio: 'pipe' })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

await serve('example of bound sessions', async secret => {
  const https = makeCertificate()
  const spki = createHash('sha256').update(new X509Certificate(https.cert).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
  console.log('Browsers bind nothing behind a certificate warning. Start Chrome (147 on Windows and macOS) with a profile of its own and')
  console.log(`  --user-data-dir=${join(tmpdir(), 'bound-example')} --ignore-certificate-errors-spki-list=${spki}`)
  console.log('and, where there is no TPM, as on Linux, with keys in software too:')
  console.log('  --enable-features=DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting')
  return await buildApp({ secret, https })
})
