// Starts the program of this system, which lies in an optional package beside this one. Runs at each start and never at an
// install: newer npm blocks install scripts. Changes no file and asks no network.
"use strict";

const { closeSync, constants: modes, accessSync, openSync, readSync } = require("node:fs");
const { constants } = require("node:os");
const { dirname, join } = require("node:path");
const { spawn, spawnSync } = require("node:child_process");
const own = require("../package.json");

/** What a shell says of a command that is not there. */
const NOT_FOUND = 127;
/** A terminal sends these to the program itself. Sent on as well they would come twice, and the second Ctrl-C ends an agent. */
const OF_TERMINALS = ["SIGINT", "SIGQUIT"];
const OTHERS = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"];

/** `linux-x64`, `linux-x64-musl`, `darwin-arm64`, … */
function platform() {
  const name = `${process.platform}-${process.arch}`;
  return process.platform === "linux" && usesMusl() ? `${name}-musl` : name;
}

/** The loader that this Node names in its own head: a second C library on the system does not matter. */
function usesMusl() {
  const head = Buffer.alloc(4096);
  let file;
  try {
    file = openSync(process.execPath, "r");
    readSync(file, head, 0, head.length, 0);
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
  return head.includes("/ld-musl-");
}

function stop(...lines) {
  process.stderr.write(lines.map((line) => `leeward: ${line}\n`).join(""));
  process.exit(NOT_FOUND);
}

/** The program, or the end with a sentence that says what is missing and one command. */
function find(program) {
  const name = `leeward-${platform()}`;
  if (!(name in (own.optionalDependencies ?? {}))) {
    stop(
      `version ${own.version} has no program for ${platform()}.`,
      `It has programs for: ${Object.keys(own.optionalDependencies ?? {}).map((other) => other.slice(8)).join(", ")}.`,
    );
  }
  let manifest;
  try {
    manifest = require.resolve(`${name}/package.json`);
  } catch {
    stop(
      `the package ${name} is missing, which holds the program.`,
      "It was left out (--omit=optional), or node_modules comes from another system.",
      `Install it: npm install ${name}@${own.version} (with -g where leeward was installed with -g)`,
    );
  }
  const found = require(manifest).version;
  if (found !== own.version) {
    stop(
      `leeward is ${own.version}, but ${name} is ${found}.`,
      `Install the same version: npm install leeward@${own.version} ${name}@${own.version}`,
    );
  }
  const path = join(dirname(manifest), "bin", process.platform === "win32" ? `${program}.exe` : program);
  try {
    accessSync(path, modes.X_OK);
  } catch {
    stop(`${path} is missing or can't be executed.`, `Install it again: npm install --force ${name}@${own.version}`);
  }
  return path;
}

/** Which of the desktop's libraries is missing. Only the loader knows. */
function missingLibrary(path) {
  if (process.platform !== "linux") return undefined;
  const { status, stderr } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return status === 127 ? /shared libraries: ([^:]+):/.exec(stderr)?.[1] : undefined;
}

/** Becomes the program where Node can do that: then nothing stands between it, its terminal and its signals. */
function become(path, words) {
  if (typeof process.execve !== "function" || process.platform === "win32") return;
  // Node ignores this signal, and what is ignored stays so in the program. A handler is not inherited.
  process.on("SIGXFSZ", () => {});
  process.removeAllListeners("warning");
  process.execve(path, [path, ...words], process.env);
}

/** Starts the program, passes signals on, and ends as it ends. */
function accompany(path, words) {
  const terminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  let child;
  const handlers = new Map();
  for (const signal of [...OF_TERMINALS, ...OTHERS]) {
    const pass = !(terminal && OF_TERMINALS.includes(signal));
    handlers.set(signal, () => pass && child?.kill(signal));
    try {
      process.on(signal, handlers.get(signal));
    } catch {
      // Windows does not know all of them.
    }
  }
  child = spawn(path, words, { stdio: "inherit" });
  child.on("error", (error) => stop(`${path} can't be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    handlers.forEach((handler, name) => process.removeListener(name, handler));
    process.exitCode = 128 + (constants.signals[signal] ?? 0);
    process.kill(process.pid, signal);
  });
}

/** Runs `leeward` or `leeward-tray` with the arguments of this process. */
module.exports = function launch(program) {
  if (program === "leeward-tray" && !(own.leeward?.tray ?? []).includes(platform())) {
    stop(
      `this package has no tray for ${platform()}. Everything else works without it: leeward wrap claude`,
      "The packages for a desktop (.deb, .rpm, .dmg, .exe) have it.",
    );
  }
  const path = find(program);
  const library = program === "leeward-tray" ? missingLibrary(path) : undefined;
  if (library !== undefined) {
    stop(
      `the tray needs the library ${library}, which this system does not have.`,
      "On Debian and Ubuntu: sudo apt install libwebkit2gtk-4.1-0 libayatana-appindicator3-1",
      "Everything else works without it: leeward wrap claude",
    );
  }
  const words = process.argv.slice(2);
  become(path, words);
  accompany(path, words);
};
