// What went wrong between the panel and the engine, as one kind of error. Pure.
import type { KeyError } from "./api";

export class Trouble extends Error {
  constructor(
    /** `unreachable`, `unauthorized`, `missing` (this Leeward has no such thing), or the engine's own code. */
    readonly code: string,
    message: string,
    /** Which keys of the config are refused, and why. */
    readonly errors: KeyError[] = [],
  ) {
    super(message);
  }

  /** From whatever was thrown or answered. */
  static of(thrown: unknown, otherwise: string): Trouble {
    if (thrown instanceof Trouble) return thrown;
    if (typeof thrown === "string") return new Trouble("refused", thrown);
    const body = (thrown ?? {}) as { error?: unknown; code?: unknown; message?: unknown; errors?: unknown };
    const inner = (typeof body.error === "object" && body.error !== null ? body.error : body) as typeof body;
    const errors = [inner.errors, body.errors].find(Array.isArray) as KeyError[] | undefined;
    return new Trouble(
      typeof inner.code === "string" ? inner.code : "refused",
      typeof inner.message === "string" ? inner.message : otherwise,
      errors ?? [],
    );
  }
}
