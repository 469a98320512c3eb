import { expect, it } from "vitest";
import { exported } from "./export";
import { attempt, request } from "./request.sample";

const list = [
  request(2, { agent: "claude-cli", outcome: "failed", status: 502, attempts: [attempt({ cause: "reused-reset" }), attempt({ number: 2, cause: "dns" })] }),
  request(1, { agent: '=cmd|" /c', model: "a,b", first_byte_ms: null }),
];

it("exports what the engine said as JSON", () => expect(JSON.parse(exported(list, "json"))).toEqual({ requests: list }));

it("exports a table that no table program runs", () => {
  const [head, first, second, end] = exported(list, "csv").split("\r\n");
  expect(head).toBe("id,began,agent,program,model,method,path,upstream,phase,outcome,status,attempts,cause,first_byte_ms,took_ms,bytes_up,bytes_down");
  expect(first).toBe("2,1970-01-01T00:00:01.000Z,Claude Code,claude-cli,opus,POST,/v1/messages,anthropic,done,failed,502,2,dns,100,200,1,2");
  expect(second).toContain(`"'=cmd|"" /c"`);
  expect(second).toContain(`"a,b"`);
  expect(end).toBe("");
});
