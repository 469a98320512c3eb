//! The panel's real window through WebKitWebDriver, over the protocol itself (W3C WebDriver): what no other browser
//! tests is the content policy, the names of the commands and WebKit's own ways.

use serde_json::{Value, json};
use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use x11rb::{
    connection::Connection,
    protocol::xproto::{AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt, EventMask, MapState, Window},
    rust_connection::RustConnection,
};

/// WebKit's driver. It starts the program that is to be driven, and ends it.
pub struct Driver {
    process: Child,
    http: reqwest::Client,
    address: String,
}

impl Driver {
    /// Starts it with the variables that the program is to have.
    pub async fn start(home: &Path, variables: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        crate::welcomed(home);
        let mut command = Command::new("WebKitWebDriver");
        command.arg(format!("--port={port}")).env("LEEWARD_HOME", home).env("TAURI_WEBVIEW_AUTOMATION", "true");
        let process =
            command.envs(variables.iter().copied()).stdin(Stdio::null()).spawn().expect("webkit2gtk-driver is installed");
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let driver = Self { process, http, address: format!("http://127.0.0.1:{port}") };
        while driver.http.get(format!("{}/status", driver.address)).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        driver
    }

    /// Starts the tray; answers once it has a window, which somebody has to ask it for.
    pub async fn open(&self) -> Page<'_> {
        let options = json!({ "binary": env!("CARGO_BIN_EXE_leeward-tray"), "args": ["--listen", "127.0.0.1:0"] });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "webkitgtk:browserOptions": options } } });
        let session = self.post("/session", &wanted).await;
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}")).to_owned();
        Page { driver: self, path: format!("/session/{id}") }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.http.post(format!("{}{path}", self.address)).json(body).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        answer["value"].take()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The window.
pub struct Page<'a> {
    driver: &'a Driver,
    path: String,
}

impl Page<'_> {
    /// What a script in the page returns.
    pub async fn run(&self, script: &str) -> Value {
        self.driver.post(&format!("{}/execute/sync", self.path), &json!({ "script": script, "args": [] })).await
    }

    /// The text of the page.
    pub async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }
}

/// Closes the windows of a process as a window manager does when their user clicks the cross: by asking (ICCCM 4.2.8.1).
/// False while there is none. The driver's own way ends the program as well.
pub fn close(pid: u32) -> bool {
    let (display, theirs) = windows(pid);
    let atom = |name: &str| display.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
    let (protocols, delete) = (atom("WM_PROTOCOLS"), atom("WM_DELETE_WINDOW"));
    for window in &theirs {
        let ask = ClientMessageEvent::new(32, *window, protocols, [delete, x11rb::CURRENT_TIME, 0, 0, 0]);
        display.send_event(false, *window, EventMask::NO_EVENT, ask).unwrap();
    }
    heard(&display);
    !theirs.is_empty()
}

/// Width and height of a process's window, while it shows one.
pub fn size(pid: u32) -> Option<(u16, u16)> {
    let (display, theirs) = windows(pid);
    let shape = display.get_geometry(*theirs.first()?).unwrap().reply().ok()?;
    Some((shape.width, shape.height))
}

/// Makes a process's window this large, as its user would.
pub fn resize(pid: u32, (width, height): (u16, u16)) {
    let (display, theirs) = windows(pid);
    let wanted = ConfigureWindowAux::new().width(u32::from(width)).height(u32::from(height));
    display.configure_window(theirs[0], &wanted).unwrap();
    heard(&display);
}

/// An answer, so that the server has read what came before; a client that hangs up first may not be heard.
fn heard(display: &RustConnection) {
    display.get_input_focus().unwrap().reply().unwrap();
}

/// Those of a process that are seen and can be closed.
fn windows(pid: u32) -> (RustConnection, Vec<Window>) {
    let (display, screen) = x11rb::connect(None).unwrap();
    let atom = |name: &str| display.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
    let (protocols, delete, owner) = (atom("WM_PROTOCOLS"), atom("WM_DELETE_WINDOW"), atom("_NET_WM_PID"));
    let property = |window, name, kind: AtomEnum| {
        let read = display.get_property(false, window, name, kind, 0, 16).unwrap().reply().ok();
        read.and_then(|found| found.value32().map(Iterator::collect::<Vec<_>>)).unwrap_or_default()
    };
    let root = display.setup().roots[screen].root;
    let windows = display.query_tree(root).unwrap().reply().unwrap().children;
    let theirs = windows
        .into_iter()
        .filter(|window| property(*window, owner, AtomEnum::CARDINAL) == [pid])
        .filter(|window| property(*window, protocols, AtomEnum::ATOM).contains(&delete))
        .filter(|window| {
            let seen = display.get_window_attributes(*window).unwrap().reply();
            seen.is_ok_and(|of| of.map_state == MapState::VIEWABLE)
        })
        .collect();
    (display, theirs)
}
