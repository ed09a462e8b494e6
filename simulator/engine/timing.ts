/** The longest delay that `setTimeout` can hold (24.9 days); a longer one would fire at once. */
const longestTimer = 2_147_483_647;

/** `setTimeout` for delays of any length. Unit: milliseconds. Returns how to call it off. */
export function after(milliseconds: number, callback: () => void): () => void {
  const dueAt = Date.now() + milliseconds;
  let timer: NodeJS.Timeout;
  const arm = () => {
    const left = Math.max(0, dueAt - Date.now());
    timer = left > longestTimer ? setTimeout(arm, longestTimer) : setTimeout(callback, left);
  };
  arm();
  return () => clearTimeout(timer);
}
