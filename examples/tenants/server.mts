import { serve } from '../serve.mjs'
import { buildApp } from './app.mjs'

await serve('tenants example', async (secret, server) => await buildApp({ secret, server }))
