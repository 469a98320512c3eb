// Puts a text on the clipboard. Asks nobody; rejects when neither way works.

/** By the browser's own interface, or as if the user had selected and copied it, where a web view refuses the first. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch (thrown) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden";
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    if (!done) throw thrown;
  }
}
