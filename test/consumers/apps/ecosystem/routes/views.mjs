export default async app => {
  app.get('/', async request => {
    request.session.views = (request.session.views ?? 0) + 1
    return { views: request.session.views }
  })
}
