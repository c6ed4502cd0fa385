import { serve } from '../serve.js'
import { buildApp } from './app.js'

await serve('example of several tenants', async secret => await buildApp({ secret }))
