import { Converter } from 'typedoc'

/** Gives each page of the site the title that its first heading has, rather than the name of its file. */
export function load (app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, page) => {
    const [first] = page.content
    page.name = /^\s*# (.*)$/m.exec(first.text)[1]
  })
}
