module.exports = async app => { app.register(require('fastify-sealed-session'), { secret: 'a secret of an app that uses the package' }) }
module.exports[Symbol.for('skip-override')] = true
