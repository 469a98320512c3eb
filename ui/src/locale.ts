// Comes before everything that formats numbers: where the system names no language (LANG=C), WebKit says "C", which is no
// language tag, and the chart library's first formatter would end the page before it is shown.

/** The language itself where it is one, else English, which all texts are in. */
export function language(told: string): string {
  try {
    return Intl.getCanonicalLocales(told)[0] ?? "en";
  } catch {
    return "en";
  }
}

/** Lets `of` name a language that can be formatted in. */
export function settle(of: { readonly language: string }): void {
  if (language(of.language) !== of.language) Object.defineProperty(of, "language", { value: language(of.language), configurable: true });
}

if (typeof navigator !== "undefined") settle(navigator);
