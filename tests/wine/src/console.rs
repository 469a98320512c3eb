//! Consoles: what is typed there and their end, for a `serve` and for a `wrap` with its agent. A console's window is a
//! terminal for Linux.

use crate::{
    process::{LIMIT, Windows, free, path, until},
    requests::slow_stream,
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

const CTRL_C: &[u8] = b"\x03";
/// CTRL_C_EVENT.
const INTERRUPT: &str = "0";
/// CTRL_BREAK_EVENT.
const BREAK: &str = "1";
/// CTRL_CLOSE_EVENT.
const CLOSE: &str = "2";

/// A program of ours in a console of its own.
struct Console {
    program: Box<dyn portable_pty::Child>,
    screen: Receiver<String>,
    keys: Box<dyn Write>,
    shown: String,
    _window: Box<dyn portable_pty::MasterPty>,
}

impl Console {
    fn start(windows: &Windows, home: &Path, args: &[&str]) -> Self {
        let pty = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default()).unwrap();
        let program = pty.slave.spawn_command(windows.console_command(home, args)).unwrap();
        let (mut reader, keys) = (pty.master.try_clone_reader().unwrap(), pty.master.take_writer().unwrap());
        let (show, screen) = channel();
        // Ends with the window.
        std::thread::spawn(move || {
            let mut some = [0u8; 1024];
            while let Ok(length @ 1..) = reader.read(&mut some) {
                show.send(String::from_utf8_lossy(&some[..length]).into_owned()).ok();
            }
        });
        Self { program, screen, keys, shown: String::new(), _window: pty.master }
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    fn shows(&mut self, text: &str) {
        while !self.shown.contains(text) {
            let more = self.screen.recv_timeout(LIMIT);
            self.shown += &more.unwrap_or_else(|_| panic!("`{text}` does not show: {:?}", self.shown));
        }
    }

    /// Its exit code, once it has ended by itself.
    fn ended(mut self) -> u32 {
        let mut status = None;
        until(&self.shown, || {
            status = self.program.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().exit_code()
    }
}

/// A `serve` finishes what is in flight, and ends in order with its console.
pub fn served(windows: &Windows, home: &Path) -> String {
    let record = home.join("state").join("instance.json");
    let serve = || {
        let address = free();
        let mut console = Console::start(windows, home, &["serve", "--listen", &address.to_string()]);
        console.shows("accepting");
        (console, address)
    };
    let (mut console, address) = serve();
    let mut stream = slow_stream(address);
    console.press(CTRL_C);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    let events = rest.matches("data:").count();
    assert!(events >= 35, "{rest}");
    assert_eq!(console.ended(), 0);
    let recorded = || {
        until("its record is there", || record.exists());
        let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
        written["pid"].to_string()
    };
    let (console, _) = serve();
    let begun = Instant::now();
    tell(windows, &recorded(), CLOSE);
    assert_eq!(console.ended(), 0);
    assert!(!record.exists(), "one that ends in order takes its record away");
    let took = begun.elapsed();
    let (console, _) = serve();
    let pestered = Pestered::start(windows, &recorded(), INTERRUPT);
    assert_eq!(console.ended(), 0);
    let times = pestered.times();
    assert!(!record.exists(), "one that is told {times} times takes its record away");
    format!(
        "`serve` finishes its stream ({events} more events) and ends with 0; ends in order after {took:.0?}; told {times} times \
         while it ends: 0"
    )
}

/// What the console says is for the agent; the wrap stays until it has ended, and ends as it did.
pub fn wrapped(windows: &Windows, home: &Path) -> String {
    let agent = path(&windows.agent);
    let start = || {
        let mut console = Console::start(windows, home, &["run", "--", &agent]);
        console.shows("runs");
        let (_, told) = console.shown.split_once("the agent ").unwrap();
        let pids: Vec<_> = told.split(' ').step_by(2).take(2).map(str::to_owned).collect();
        let [agent, wrap] = <[String; 2]>::try_from(pids).unwrap();
        (console, agent, wrap)
    };
    let (mut console, ..) = start();
    console.press(CTRL_C);
    console.shows("interrupted 1");
    console.press(CTRL_C);
    let typed = console.ended();
    let [broken, closed] = [BREAK, CLOSE].map(|event| {
        let (console, agent, wrap) = start();
        // As the console does it: each of its programs is told.
        tell(windows, &wrap, event);
        tell(windows, &agent, event);
        console.ended()
    });
    assert_eq!((typed, broken, closed), (7, 8, 9));
    let (console, agent, wrap) = start();
    let pestered = Pestered::start(windows, &wrap, INTERRUPT);
    tell(windows, &agent, BREAK);
    assert_eq!(console.ended(), 8, "what reaches it after its agent's end changes nothing");
    let times = pestered.times();
    format!("the agent gets each of them and ends by itself; `run` ends with its 7, 8 and 9; told {times} times itself: 8")
}

/// A program that is told the same without a pause, as long as it lives.
struct Pestered {
    teller: Child,
    said: BufReader<ChildStdout>,
}

impl Pestered {
    /// Returns once it has been told for the first time.
    fn start(windows: &Windows, pid: &str, event: &str) -> Self {
        let mut teller = windows.do_to(&["pester", pid, event]).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(teller.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "told", "process {pid} cannot be told");
        Self { teller, said }
    }

    /// How many times it was told; for one that has ended.
    fn times(mut self) -> usize {
        self.teller.kill().unwrap();
        self.teller.wait().unwrap();
        1 + self.said.lines().map_while(Result::ok).filter(|line| line == "told").count()
    }
}

/// What the console tells a program without a key that is typed.
fn tell(windows: &Windows, pid: &str, event: &str) {
    let status = windows.do_to(&["tell", pid, event]).status().unwrap();
    assert!(status.success(), "process {pid} cannot be told");
}
