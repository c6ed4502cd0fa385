import { serve } from '../serve.js'
import { buildApp } from './app.js'

await serve('single-page example', async secret => await buildApp({ secret }))
