//! A wrapped agent on a pseudo-terminal: the terminal is the agent's, exactly as without `wrap`.
#![cfg(unix)]

use crate::{
    home::{Home, LEEWARD, LIMIT, kill, until},
    signals::wrapped,
};
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::Signal;
use scripted::{Fault, Plan, Upstream};
use std::{
    io::{Read, Write},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

struct Terminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(home: &Home, program: &str, args: &[&str], vars: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 33, cols: 99, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        command.cwd(home.path("work"));
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        for (name, value) in vars {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0u8; 4096];
            while let Ok(read @ 1..) = reader.read(&mut chunk) {
                if send.send(chunk[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Self { child, master: pair.master, keyboard, output, seen: String::new() }
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits until the text has been printed since the last wait.
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(chunk) => self.seen.push_str(&String::from_utf8_lossy(&chunk)),
                Err(_) => panic!("`{text}` was never printed; there is {:?}", self.seen),
            }
        }
    }

    fn ended(mut self) -> (u32, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end; there is {:?}", self.seen);
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        drop(self.keyboard);
        drop(self.master);
        self.seen.extend(self.output.iter().map(|chunk| String::from_utf8_lossy(&chunk).into_owned()));
        (status.exit_code(), self.seen)
    }
}

#[test]
fn the_agent_has_the_terminal_and_its_size() {
    let home = Home::new();
    home.agent("claude", "test -t 0 && test -t 1 && test -t 2 && echo tty; stty size; read line; echo \"got $line\"; exit 4");
    let mut terminal = Terminal::start(&home, LEEWARD, &["wrap", "claude"], &[]);
    terminal.wait_for("tty");
    terminal.wait_for("33 99");
    terminal.master.resize(PtySize { rows: 20, cols: 60, pixel_width: 0, pixel_height: 0 }).unwrap();
    terminal.type_in("hello\n");
    terminal.wait_for("got hello");
    assert_eq!(terminal.ended().0, 4);
}

#[test]
fn ctrl_c_belongs_to_the_agent() {
    let home = Home::new();
    // An agent that handles it goes on; the wrap must not go away under it.
    home.agent("claude", "trap 'echo caught' INT; echo ready; read line || read line; echo \"got $line\"; exit 5");
    let mut terminal = Terminal::start(&home, LEEWARD, &["wrap", "claude"], &[]);
    terminal.wait_for("ready");
    terminal.type_in("\x03");
    terminal.wait_for("caught");
    terminal.type_in("more\n");
    terminal.wait_for("got more");
    assert_eq!(terminal.ended().0, 5);
    // One that does not handle it ends, and so does the wrap.
    home.agent("claude", "echo ready; exec sleep 60");
    for (key, code) in [("\x03", 130), ("\x1c", 131)] {
        let mut terminal = Terminal::start(&home, LEEWARD, &["wrap", "claude"], &[]);
        terminal.wait_for("ready");
        terminal.type_in(key);
        assert_eq!(terminal.ended().0, code);
    }
}

/// The terminal has sent it to the agent too.
#[test]
fn what_is_typed_reaches_the_agent_once() {
    let home = Home::new();
    let args = wrapped();
    let mut terminal = Terminal::start(&home, LEEWARD, &args.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    until("the agent records", || home.path("ready").exists());
    let count = |signal: Signal| home.read("got").lines().filter(|line| *line == signal.as_raw().to_string()).count();
    let wrap = terminal.child.process_id().unwrap();
    for (key, signal) in [("\x03", Signal::INT), ("\x1c", Signal::QUIT), ("\x1a", Signal::TSTP)] {
        let barriers = count(Signal::USR1);
        terminal.type_in(key);
        until("it arrives", || count(signal) > 0);
        // What the wrap gets later it passes on later.
        kill(wrap, "USR1");
        until("the barrier arrives", || count(Signal::USR1) > barriers);
        assert_eq!(count(signal), 1, "{signal:?}");
    }
    std::fs::write(home.path("done"), "").unwrap();
    terminal.ended();
}

#[test]
fn an_agent_that_stops_itself_gives_the_prompt_back() {
    let home = Home::new();
    home.agent("claude", "echo ready; kill -STOP $$; echo resumed; exit 6");
    let vars = [("PS1", "prompt> "), ("TERM", "dumb")];
    let mut terminal = Terminal::start(&home, "bash", &["--norc", "--noprofile", "-i"], &vars);
    terminal.wait_for("prompt> ");
    terminal.type_in(&format!("'{LEEWARD}' wrap claude\n"));
    terminal.wait_for("ready");
    terminal.wait_for("prompt> ");
    terminal.type_in("fg\n");
    terminal.wait_for("resumed");
    terminal.wait_for("prompt> ");
    terminal.type_in("echo code $?; exit\n");
    terminal.wait_for("code 6");
    terminal.ended();
}

/// Of a window that closes with its program: an error stays to be read, also where the agent has left the terminal raw.
#[test]
fn an_error_stays_on_the_screen_until_enter() {
    let home = Home::new();
    let kept = "Claude Code ended with code 7; Enter closes this window";
    for (script, key) in [("exit 7", "\n"), ("stty raw -echo; exit 7", "\r")] {
        home.agent("claude", &format!("echo ready; {script}"));
        let mut terminal = Terminal::start(&home, LEEWARD, &["wrap", "--hold", "claude"], &[]);
        terminal.wait_for(&format!("Claude Code starts in {}", home.path("work").display()));
        terminal.wait_for("ready");
        terminal.wait_for(kept);
        assert!(terminal.child.try_wait().unwrap().is_none(), "{script}: it waits");
        terminal.type_in(key);
        assert_eq!(terminal.ended().0, 0, "{script}: some terminals keep a window whose program failed");
    }
    home.agent("claude", "echo ready; exec sleep 60");
    let mut interrupted = Terminal::start(&home, LEEWARD, &["wrap", "--hold", "claude"], &[]);
    interrupted.wait_for("ready");
    interrupted.type_in("\x03");
    home.agent("codex", "exit 0");
    let well = Terminal::start(&home, LEEWARD, &["wrap", "--hold", "codex"], &[]);
    for terminal in [interrupted, well] {
        let (code, text) = terminal.ended();
        assert!(code == 0 && !text.contains("Enter closes"), "its end was asked for: {text:?}");
    }
    let mut missing = Terminal::start(&home, LEEWARD, &["wrap", "--hold", "kimi"], &[("PATH", "/nowhere")]);
    missing.wait_for("cannot find Kimi CLI");
    missing.wait_for("ended with code 127; Enter closes this window");
    missing.type_in("\n");
    missing.ended();
}

/// A connection of the agent's breaks and is made anew: said once, at its end, to who reads a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_rescued_is_said_at_the_end() {
    let home = Home::new();
    home.agent(
        "claude",
        "curl -sk --noproxy '' --proxy \"$HTTPS_PROXY\" \"$SERVER/v1/models\" >/dev/null; echo asked $?; exit 3",
    );
    let line = "leeward: 1 connection rescued in this session";
    let wrap = format!("'{LEEWARD}' wrap --mode tunnel claude");
    for (command, breaks, config, said) in [
        (wrap.clone(), 1, "", true),
        (wrap.clone(), 0, "", false),
        (wrap.clone(), 1, "[wrap]\nsummary = false", false),
        (format!("{wrap} | cat"), 1, "", false),
        (format!("{wrap} 2>\"$OUT/errors\""), 1, "", false),
    ] {
        home.configure(config);
        let server = Upstream::tls(Plan::times(breaks, Fault::ResetInTls)).unwrap();
        let url = server.url().to_string();
        let what = format!("{command} {breaks} {config}");
        let (home, started) = (&home, command.clone());
        let (_, text) = tokio::task::block_in_place(|| {
            let mut terminal = Terminal::start(home, "sh", &["-c", &started], &[("SERVER", url.trim_end_matches('/'))]);
            terminal.wait_for("asked 0");
            terminal.ended()
        });
        assert_eq!(text.contains(line), said, "{what}: {text:?}");
        assert!(!home.read("errors").contains("rescued"), "{what}");
        let faults = server.log().record().faults().get("reset-in-tls").copied().unwrap_or_default();
        assert_eq!(faults, breaks as u64, "{what}");
        home.run(&["stop"]);
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let home = Home::new();
    let _serving = home.serve(&[]);
    for (vars, coloured) in [
        (&[("TERM", "xterm")][..], true),
        (&[("TERM", "xterm"), ("NO_COLOR", "1")], false),
        (&[("TERM", "dumb")], false),
        (&[("TERM", "xterm"), ("NO_COLOR", "")], true),
    ] {
        let (code, text) = Terminal::start(&home, LEEWARD, &["status"], vars).ended();
        assert_eq!((code, text.contains("\x1b[")), (0, coloured), "{vars:?}: {text:?}");
        assert!(text.contains("Ready on "), "{text:?}");
    }
}

#[test]
fn setup_asks_and_does_what_is_answered() {
    let settings = ".claude/settings.json";
    for (answer, is_written) in [("y\n", true), ("\n", false), ("no\n", false)] {
        let home = Home::new();
        std::fs::create_dir_all(home.path(".claude")).unwrap();
        std::fs::write(home.path(settings), "{}").unwrap();
        let mut terminal = Terminal::start(&home, LEEWARD, &["setup", "claude", "--without-service"], &[]);
        terminal.wait_for("+    \"ANTHROPIC_BASE_URL\"");
        terminal.wait_for("change 1 file? [y/N] ");
        terminal.type_in(answer);
        let (code, said) = terminal.ended();
        assert_eq!((code, home.read(settings) != "{}"), (0, is_written), "{answer:?}: {said}");
        assert_eq!(said.contains("nothing was written"), !is_written, "{answer:?}: {said}");
    }
}
