// Words of a command line: read as a shell would, and written so that a shell reads them back. Pure; runs nothing.

/**
 * Words of `text`, or null when a quote is not closed. Quotes as in sh; nothing is expanded.
 * A backslash is one of a Windows path unless a blank, a quote or another backslash follows.
 */
export function split(text: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i]!;
    if (quote) {
      if (c === quote) quote = "";
      else if (c === "\\" && quote === '"' && /["\\]/.test(text[i + 1] ?? "")) word += text[(i += 1)]!;
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      word ??= "";
    } else if (c === "\\" && /[\s"'\\]/.test(text[i + 1] ?? "")) {
      word = (word ?? "") + text[(i += 1)]!;
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? "") + c;
    }
  }
  if (word !== null) words.push(word);
  return quote ? null : words;
}

/** One word, quoted where a shell would read it as more. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What a person types to launch an agent through Leeward. */
export function wrapCommand(agent: string, mode: string, args: string[], folder = ""): string {
  const words = ["leeward", "wrap", ...(mode === "" ? [] : ["--mode", mode]), agent];
  if (args.length > 0) words.push("--", ...args.map(quoted));
  return (folder ? `cd ${quoted(folder)} && ` : "") + words.join(" ");
}

/** The shells that `leeward env` writes for. */
export const shells = ["sh", "fish", "powershell"] as const;

/** What a person types into a terminal that is already open. */
export function envCommand(shell: (typeof shells)[number]): string {
  switch (shell) {
    case "sh":
      return 'eval "$(leeward env)"';
    case "fish":
      return "leeward env --shell fish | source";
    case "powershell":
      return "leeward env --shell powershell | Out-String | Invoke-Expression";
  }
}
