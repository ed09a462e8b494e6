/**
 * FNV-1a, 32 bits, over UTF-16 code units. For telling texts apart, not for secrets: who writes the text can make two
 * that collide.
 * @param from start within the text
 * @param to end within the text, exclusive
 */
export function fnv1a(text: string, from = 0, to = text.length): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i += 1) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash >>> 0;
}
