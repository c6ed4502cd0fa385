import { serve } from '../serve.mjs'
import { buildApp } from './app.mjs'

await serve('example of several tenants', async secret => await buildApp({ secret }))
