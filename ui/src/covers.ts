// What a session's mode covers, in words. Pure.

import type { Covers } from "./generated";
import { texts } from "./texts";

/** As `auto: requests to models by base URL, the rest by tunnel`. */
export function covered({ mode, inference, rest }: Covers): string {
  const t = texts.status.covers;
  if (mode === "intercept") return `${mode}: ${t.intercept}`;
  const [first, other] = [t.doors[inference], t.doors[rest]];
  return `${mode}: ${first === other ? t.all(other) : t.apart(first, other)}`;
}
