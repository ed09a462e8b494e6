/**
 * FNV-1a, 32 bits, over whole UTF-16 code units in place of octets: half the work on a console. For telling texts
 * apart, not for secrets: who writes the text can make two that collide.
 * @param from start within the text
 * @param to end within the text, exclusive
 */
export function fnv1a(text: string, from = 0, to = text.length): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}
