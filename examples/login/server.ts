import { serve } from '../serve.js'
import { buildApp } from './app.js'

await serve('login example', async secret => await buildApp({ secret }))
