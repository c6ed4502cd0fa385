#!/usr/bin/env node
import { cli } from './cli.js'

cli(process.argv.slice(2), process).then(code => { process.exitCode = code })
