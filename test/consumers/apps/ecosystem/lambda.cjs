const assert = require('node:assert/strict')
const awsLambdaFastify = require('@fastify/aws-lambda')
const Fastify = require('fastify')

const app = Fastify()
app.register(require('fastify-sealed-session'), { secret: 'a secret of an app that uses the package' })
app.get('/', async request => {
  request.session.views = (request.session.views ?? 0) + 1
  return { views: request.session.views }
})
const handler = awsLambdaFastify(app)

async function main () {
  await app.ready()
  const cookie = await app.session.cookie({ views: 41 })
  const event = { version: '2.0', rawPath: '/', rawQueryString: '', cookies: [cookie], headers: { 'x-forwarded-proto': 'https' }, requestContext: { http: { method: 'GET', path: '/' } } }
  const { body, cookies } = await handler(event, {})
  assert.deepEqual(JSON.parse(body), { views: 42 })
  assert.match(cookies[0], /^session=Fe26\.2/)
  console.log('it works')
}
main()
