import { serve } from '../serve.js'
import { buildApp } from './app.js'

await serve('chat example', async secret => await buildApp({ secret }))
