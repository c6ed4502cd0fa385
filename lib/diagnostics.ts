import { channel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import type { SessionEvents } from '../types/index.js'

type Name = keyof SessionEvents
type Facts<Key extends Name> = Omit<SessionEvents[Key], 'sessionName' | 'request'>

// Without subscribers a channel costs one property read (https://nodejs.org/api/diagnostics_channel.html).
const channels = {
  loaded: channel('fastify-sealed-session.loaded'),
  rejected: channel('fastify-sealed-session.rejected'),
  saved: channel('fastify-sealed-session.saved'),
  destroyed: channel('fastify-sealed-session.destroyed'),
  bound: channel('fastify-sealed-session.bound')
}

/** Whether a channel has subscribers. Ask before putting the facts together. */
export function listens (name: Name): boolean {
  return channels[name].hasSubscribers
}

/** Publishes what happened to a session: ids, reasons and sizes, never data. */
export function tell<Key extends Name> (name: Key, sessionName: string, request: FastifyRequest, facts: Facts<Key>): void {
  channels[name].publish({ sessionName, request, ...facts })
}
