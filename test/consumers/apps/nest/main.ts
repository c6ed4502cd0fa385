import 'reflect-metadata'
import { Controller, Get, Module, Req } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import type { FastifyRequest } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'

declare module 'fastify-sealed-session' {
  interface SessionData { views?: number }
}

@Controller()
class Views {
  @Get() count (@Req() request: FastifyRequest): object {
    request.session.views = (request.session.views ?? 0) + 1
    return { views: request.session.views }
  }
}

@Module({ controllers: [Views] })
class App {}

async function main (): Promise<void> {
  const app = await NestFactory.create<NestFastifyApplication>(App, new FastifyAdapter(), { logger: false })
  await app.register(sessionPlugin, { secret: 'a secret of an app that uses the package' })
  await app.init()
  const fastify = app.getHttpAdapter().getInstance()
  await fastify.ready()
  const cookie = await fastify.session.cookie({ views: 41 })
  const { body } = await app.inject({ method: 'GET', url: '/', headers: { cookie } })
  console.log(body === '{"views":42}' ? 'it works' : body)
  await app.close()
}
main()
