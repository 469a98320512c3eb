// Server-sent events as they come off a byte stream, and how long to wait before the next connection. Pure.

export interface ServerEvent {
  event: string;
  data: string;
}

/** Reads text in arbitrary pieces and gives the events that are complete. Comments give none. */
export function reader(): (piece: string) => ServerEvent[] {
  let rest = "";
  return (piece) => {
    const blocks = (rest + piece).replace(/\r\n/g, "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    return blocks.flatMap((block) => {
      let event = "message";
      const data: string[] = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) event = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
      return data.length > 0 ? [{ event, data: data.join("\n") }] : [];
    });
  };
}

/** Reads text in arbitrary pieces and gives each whole line of JSON. Empty ones are signs of life. */
export function lines<T>(): (piece: string) => T[] {
  let rest = "";
  return (piece) => {
    const all = (rest + piece).split("\n");
    rest = all.pop() ?? "";
    return all.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as T);
  };
}

/** Milliseconds before try number `failures` + 1: soon at first, never more than 5 s. */
export function pause(failures: number): number {
  return Math.min(5000, 250 * 2 ** Math.min(failures, 10));
}
