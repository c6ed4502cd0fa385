import { readdirSync } from 'node:fs'

// Which files of lib the tests must cover together: `npm test` all but those that talk to a database server, which are the duty of
// `npm run test:servers`. The build that the examples import does not count.

const needsServer = /^(redis|postgres|store-test|cli\/(sessions|stores)|store\/(listeners|names|redis\/.*|postgres\/.*|testing\/.*))\.ts$/
const files = readdirSync(new URL('../lib', import.meta.url), { recursive: true }).filter(name => name.endsWith('.ts'))

export default test => files.filter(name => needsServer.test(name) === test.startsWith('test/servers/')).map(name => `lib/${name}`)
