/**
 * The mark, as SVG: a nightjar on the wing before the moon. It is the provider's icon (EIP-6963) too, so it is short and
 * loads nothing.
 */
import { birdPath } from './bird.ts'

export const mark =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">' +
  '<linearGradient id="nightjar-sky" x2="0" y2="1">' +
  '<stop stop-color="#22305f"/><stop offset="1" stop-color="#0a1024"/>' +
  '</linearGradient>' +
  '<rect width="64" height="64" rx="15" fill="url(#nightjar-sky)"/>' +
  '<circle cx="34" cy="30" r="21" fill="#f3bb55"/>' +
  `<path transform="translate(31 33) rotate(38) scale(1.3)" d="${birdPath}" fill="#0e0f24"/>` +
  '</svg>'
