import { serve } from '../serve.mjs'
import { buildApp } from './app.mjs'

await serve('single-page example', async (secret, server) => await buildApp({ secret, server }))
