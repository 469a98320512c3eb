//! A tray host for tests: it takes the icons that programs register on the session bus, and reads and clicks their menus.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use zbus::{Connection, OwnedVariant, Proxy, Variant, connection, fdo, interface, message::Header};

/// Icons that were registered: bus name and path.
type Icons = Arc<Mutex<Vec<(String, String)>>>;

struct Watcher(Icons);

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, service: &str, #[zbus(header)] header: Header<'_>) {
        // libayatana-appindicator tells a path; others tell a bus name.
        let sender = header.sender().unwrap().to_string();
        let icon = match service.starts_with('/') {
            true => (sender, service.to_owned()),
            false => (service.to_owned(), "/StatusNotifierItem".to_owned()),
        };
        self.0.lock().unwrap().push(icon);
    }

    fn register_status_notifier_host(&self, _service: &str) {}

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(name, path)| format!("{name}{path}")).collect()
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}

/// Notifications that were shown: title and text.
pub type Notices = Arc<Mutex<Vec<(String, String)>>>;

struct Notifications(Notices);

#[interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[allow(clippy::too_many_arguments, reason = "the protocol's own")]
    fn notify(
        &self,
        _program: &str,
        _replaces: u32,
        _icon: &str,
        title: &str,
        text: &str,
        _actions: Vec<String>,
        _hints: HashMap<String, OwnedVariant>,
        _expires: i32,
    ) -> u32 {
        let mut shown = self.0.lock().unwrap();
        shown.push((title.to_owned(), text.to_owned()));
        u32::try_from(shown.len()).unwrap()
    }

    fn get_capabilities(&self) -> Vec<String> {
        vec!["body".into()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("test".into(), "leeward".into(), "1".into(), "1.2".into())
    }

    fn close_notification(&self, _id: u32) {}
}

/// The host itself. One a session bus.
pub struct Host {
    bus: Connection,
    icons: Icons,
    pub notices: Notices,
}

impl Host {
    /// Exports the watcher before it takes the name: programs call as soon as the name appears, and only once.
    pub async fn start() -> Self {
        let icons = Icons::default();
        let notices = Notices::default();
        let builder = connection::Builder::session().serve_at("/StatusNotifierWatcher", Watcher(icons.clone()));
        let builder = builder.serve_at("/org/freedesktop/Notifications", Notifications(notices.clone()));
        let builder = builder.name("org.kde.StatusNotifierWatcher").name("org.freedesktop.Notifications");
        let bus = builder.build().await.unwrap();
        Self { bus, icons, notices }
    }

    /// The icon of a process, once it has registered it.
    pub async fn icon_of(&self, pid: u32) -> Icon {
        let bus = fdo::DBusProxy::new(&self.bus).await.unwrap();
        loop {
            let icons = self.icons.lock().unwrap().clone();
            for (name, path) in icons {
                let owner = zbus::names::BusName::try_from(name.clone()).unwrap();
                // Icons of programs that have ended have no owner any more.
                if bus.get_connection_unix_process_id(owner).await.is_ok_and(|owner| owner == pid) {
                    return Icon { bus: self.bus.clone(), name, path };
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One registered icon.
pub struct Icon {
    bus: Connection,
    name: String,
    path: String,
}

/// A line of a menu: its number, text, whether it can be chosen, and the lines behind it.
#[derive(Clone, Debug)]
pub struct Line {
    id: i32,
    pub text: String,
    pub enabled: bool,
    /// The mark of a switch.
    pub on: bool,
    pub lines: Vec<Line>,
}

type Node = (i32, HashMap<String, OwnedVariant>, Vec<OwnedVariant>);

impl Icon {
    /// The file with its picture.
    pub async fn picture(&self) -> String {
        let item = Proxy::new(&self.bus, self.name.clone(), self.path.clone(), "org.kde.StatusNotifierItem").await.unwrap();
        item.get_property("IconName").await.unwrap()
    }

    /// The lines of its menu.
    pub async fn menu(&self) -> Vec<Line> {
        let (_revision, root): (u32, Node) =
            self.dbusmenu().await.call("GetLayout", &(0i32, -1i32, Vec::<&str>::new())).await.unwrap();
        line(root).lines
    }

    /// Chooses the first line that says `text`, also behind others.
    pub async fn click(&self, text: &str) {
        let menu = self.menu().await;
        let found = find(&menu, text).unwrap_or_else(|| panic!("no line {text:?} in {menu:#?}"));
        assert!(found.enabled, "{text} cannot be chosen: {menu:#?}");
        let nothing: Variant<'_> = "".into();
        self.dbusmenu().await.call::<_, _, ()>("Event", &(found.id, "clicked", nothing, 0u32)).await.unwrap();
    }

    async fn dbusmenu(&self) -> Proxy<'_> {
        Proxy::new(&self.bus, self.name.clone(), format!("{}/Menu", self.path), "com.canonical.dbusmenu").await.unwrap()
    }
}

fn find<'a>(lines: &'a [Line], text: &str) -> Option<&'a Line> {
    lines.iter().find_map(|line| if line.text == text { Some(line) } else { find(&line.lines, text) })
}

fn line((id, mut properties, lines): Node) -> Line {
    let text = properties.remove("label").and_then(|v| String::try_from(v).ok()).unwrap_or_default();
    let enabled = properties.remove("enabled").and_then(|v| bool::try_from(v).ok()).unwrap_or(true);
    let on = properties.remove("toggle-state").and_then(|v| i32::try_from(v).ok()) == Some(1);
    // An underscore marks the letter that chooses a line.
    let text = text.replace('_', "");
    Line { id, text, enabled, on, lines: lines.into_iter().map(|node| line(node.try_into().unwrap())).collect() }
}
