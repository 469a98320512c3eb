//! The tray as a value: which icon, which lines in its menu, and what each does. Who paints it compares two values and
//! changes only what differs.

mod titles;

use super::{Level, headline};
use crate::status::{Phase, Status};
use titles::{TITLE, end_of, quit, short};

/// What the icon shows. Each has a shape of its own, so that nobody needs to see colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Icon {
    /// The engine is coming up.
    Starting,
    /// All is well.
    Serving,
    /// All is well, because a request was rescued lately.
    Retried,
    /// It works, and the user should know something.
    Degraded,
    /// Agents cannot work.
    Broken,
    /// It ends or has ended.
    Paused,
}

impl Icon {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Starting, Self::Serving, Self::Retried, Self::Degraded, Self::Broken, Self::Paused];

    /// The name of its picture.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Retried => "retried",
            Self::Degraded => "degraded",
            Self::Broken => "broken",
            Self::Paused => "paused",
        }
    }
}

/// What a line of the menu does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new engine generation.
    Restart,
    /// An agent, by its name, in a terminal.
    Launch(String),
    /// The line for a terminal that is already open, into the clipboard.
    CopyEnvironment,
    /// Opens the panel on a page of it.
    Panel(&'static str),
    /// Switches start at login.
    Autostart,
    /// Ends Leeward once requests in flight have finished.
    Quit,
    /// Ends it at once.
    QuitNow,
}

const PAGES: [&str; 3] = ["status", "launch", "logs"];

impl Action {
    /// The line's name within the desktop's menu.
    pub fn id(&self) -> String {
        match self {
            Self::Restart => "restart".into(),
            Self::Launch(agent) => format!("launch:{agent}"),
            Self::CopyEnvironment => "copy-environment".into(),
            Self::Panel(page) => format!("panel:{page}"),
            Self::Autostart => "autostart".into(),
            Self::Quit => "quit".into(),
            Self::QuitNow => "quit-now".into(),
        }
    }

    /// The action of a chosen line.
    pub fn of(id: &str) -> Option<Self> {
        Some(match id.split_once(':') {
            Some(("launch", agent)) => Self::Launch(agent.to_owned()),
            Some(("panel", page)) => Self::Panel(PAGES.into_iter().find(|known| *known == page)?),
            Some(_) => return None,
            None => match id {
                "restart" => Self::Restart,
                "copy-environment" => Self::CopyEnvironment,
                "autostart" => Self::Autostart,
                "quit" => Self::Quit,
                "quit-now" => Self::QuitNow,
                _ => return None,
            },
        })
    }
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Text that cannot be chosen.
    Note(String),
    /// Something to do.
    Choice {
        /// What it says.
        text: String,
        /// What it does.
        action: Action,
        /// False while it makes no sense.
        enabled: bool,
    },
    /// Something that is on or off.
    Switch {
        /// What it says.
        text: String,
        /// What choosing it does.
        action: Action,
        /// Whether it has its mark.
        on: bool,
    },
    /// More lines below one.
    Group {
        /// What the line says.
        text: String,
        /// The lines.
        items: Vec<Item>,
    },
    /// A rule between lines.
    Separator,
}

/// All that the tray shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tray {
    /// The icon.
    pub icon: Icon,
    /// Where the desktop shows one.
    pub tooltip: String,
    /// The lines, from the top.
    pub menu: Vec<Item>,
}

/// What the tray knows besides the status.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Whether a request was rescued within the last minute.
    pub retried_lately: bool,
    /// Agents that are installed: name and title.
    pub agents: Vec<(String, String)>,
    /// The folder in which they are launched from here.
    pub folder: Option<String>,
    /// Whether Leeward starts at login; `None` where that cannot be read.
    pub autostart: Option<bool>,
    /// A restart is under way.
    pub restarting: bool,
    /// Quitting: this many requests finish.
    pub finishing: Option<u64>,
}

/// The tray for a status. `now_unix_ms` is the present, in milliseconds since 1970.
pub fn tray(status: &Status, around: &Around, now_unix_ms: u64) -> Tray {
    Tray {
        icon: if around.finishing.is_some() { Icon::Paused } else { icon(status, around.retried_lately, now_unix_ms) },
        tooltip: super::tooltip(status, now_unix_ms),
        menu: menu(status, around, now_unix_ms),
    }
}

fn icon(status: &Status, retried_lately: bool, now_unix_ms: u64) -> Icon {
    match status.phase {
        Phase::Starting => Icon::Starting,
        Phase::Stopped if status.failure().is_some() => Icon::Broken,
        Phase::Draining | Phase::Stopped => Icon::Paused,
        Phase::Serving | Phase::Restarting => match headline(status, now_unix_ms).level {
            Level::Broken => Icon::Broken,
            Level::Degraded => Icon::Degraded,
            Level::Ok if retried_lately => Icon::Retried,
            Level::Ok => Icon::Serving,
        },
    }
}

fn menu(status: &Status, around: &Around, now_unix_ms: u64) -> Vec<Item> {
    let choice = |text: &str, action, enabled| Item::Choice { text: text.into(), action, enabled };
    // The panel has the whole of it.
    let told = |text: &str| choice(&short(text), Action::Panel("status"), true);
    if let Some(requests) = around.finishing {
        let text = match requests {
            0 => "Ending…".to_owned(),
            n => format!("Finishing {}…", super::counted(n, "request", "requests")),
        };
        return vec![Item::Note(text), choice("Quit now", Action::QuitNow, true)];
    }
    let first = headline(status, now_unix_ms);
    let mut items = vec![told(&first.sentence)];
    items.extend(Some(first.next).filter(|next| !next.is_empty()).map(|next| told(&next)));
    items.extend(super::today_words(status).map(|words| told(&words)));
    // The first one is in the line above.
    match status.conditions.len() {
        0 | 1 => {}
        2 => items.push(told("1 more problem, see the panel")),
        many => items.push(told(&format!("{} more problems, see the panel", many - 1))),
    }
    let agents = around.agents.iter().map(|(name, title)| choice(title, Action::Launch(name.clone()), true));
    let folder = around.folder.as_ref().map(|folder| Item::Note(format!("In {}", end_of(folder, TITLE - 3))));
    let launch = match around.agents.as_slice() {
        [] => choice("Launch…", Action::Panel("launch"), true),
        _ => Item::Group {
            text: "Launch".into(),
            items: folder
                .into_iter()
                .chain(agents)
                .chain([Item::Separator, choice("Choose…", Action::Panel("launch"), true)])
                .collect(),
        },
    };
    items.extend([
        Item::Separator,
        choice(if around.restarting { "Restarting…" } else { "Restart" }, Action::Restart, !around.restarting),
        launch,
        choice("Copy environment", Action::CopyEnvironment, true),
        Item::Separator,
        choice("Open panel", Action::Panel("status"), true),
        choice("Logs", Action::Panel("logs"), true),
        Item::Separator,
    ]);
    items.extend(around.autostart.map(|on| Item::Switch { text: "Start at login".into(), action: Action::Autostart, on }));
    items.push(choice(&quit(status.sessions.len()), Action::Quit, true));
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::{Code, Tracker},
        status::stats::Today,
    };

    fn serving() -> Status {
        let mut status = Status { phase: Phase::Serving, ..Status::starting() };
        status.listener.address = "127.0.0.1:8787".into();
        status.listener.accepting = true;
        status
    }

    fn shown(items: &[Item]) -> Vec<String> {
        items
            .iter()
            .map(|item| match item {
                Item::Note(text) => format!("({text})"),
                Item::Choice { text, enabled, .. } => {
                    if *enabled {
                        text.clone()
                    } else {
                        format!("[{text}]")
                    }
                }
                Item::Switch { text, on, .. } => format!("{text}: {}", if *on { "on" } else { "off" }),
                Item::Group { text, items } => format!("{text} > {}", shown(items).join(", ")),
                Item::Separator => "-".into(),
            })
            .collect()
    }

    #[test]
    fn the_whole_menu() {
        let agents = vec![("claude".into(), "Claude Code".into())];
        let around = Around { agents, folder: Some("~/work/site".into()), autostart: Some(true), ..Around::default() };
        let all = [
            "Ready on 127.0.0.1:8787",
            "-",
            "Restart",
            "Launch > (In ~/work/site), Claude Code, -, Choose…",
            "Copy environment",
            "-",
            "Open panel",
            "Logs",
            "-",
            "Start at login: on",
            "Quit",
        ];
        assert_eq!(shown(&tray(&serving(), &around, 0).menu), all);
    }

    #[test]
    fn quitting_says_who_keeps_leeward_running() {
        for (agents, text) in
            [(0, "Quit"), (1, "Quit; 1 agent keeps Leeward running"), (99, "Quit; 99 agents keep Leeward running")]
        {
            let session = serde_json::json!({ "agent": "claude", "pid": 7, "since_unix_ms": 1 });
            let sessions = serde_json::from_value(vec![session; agents].into()).unwrap();
            let menu = shown(&tray(&Status { sessions, ..serving() }, &Around::default(), 0).menu);
            assert_eq!(menu.last().unwrap(), text);
            assert!(text.len() <= 40);
        }
    }

    #[test]
    fn it_says_what_is_wrong_and_what_was_retried() {
        let health = Tracker::default();
        health.set(Code::PortTaken, None, "Another program has 8787. Serving on 8788 meanwhile.");
        health.set(Code::StateUnwritable, None, "the disk is full.");
        let status = Status { conditions: health.visible(), ..serving() };
        let status = Status { today: Today { rescued: 12, failed: 1, ..Today::default() }, ..status };
        let around = Around { restarting: true, ..Around::default() };
        let menu = shown(&tray(&status, &around, 0).menu);
        assert_eq!(menu[..2], ["Another program has 8787", "Serving on 8788 meanwhile"]);
        assert_eq!(menu[2..7], ["12 rescued, 1 failed today", "1 more problem, see the panel", "-", "[Restarting…]", "Launch…"]);
    }

    #[test]
    fn no_title_is_longer_than_forty_letters() {
        for (text, title) in [
            ("Protecting 2 agents", "Protecting 2 agents"),
            ("Protecting 2 agents; api.anthropic.com reached 3 s ago", "Protecting 2 agents…"),
            ("Can't reach api.anthropic.com (connection refused), 3 requests waiting", "Can't reach api.anthropic.com…"),
            ("23 of 391 requests failed in 5 min: the API's edge resets connections", "23 of 391 requests failed in 5 min…"),
            ("The state folder cannot be written to at all", "The state folder cannot be written to…"),
            ("einlangeswortohneeineeinzigeluecketrotzdemnochlaenger", "einlangeswortohneeineeinzigeluecketrotz…"),
            ("äöüäöüäöüä äöüäöüäöüä äöüäöüäöüä äöüäöüä", "äöüäöüäöüä äöüäöüäöüä äöüäöüäöüä äöüäöüä"),
        ] {
            assert_eq!(short(text), title);
            assert!(title.chars().count() <= TITLE, "{title}");
        }
        assert_eq!(end_of("/home/ada/work/leeward", 10), "…k/leeward");
        let condition = "x".repeat(90);
        let health = Tracker::default();
        health.set(Code::PortTaken, None, format!("{condition}. {condition}."));
        let around = Around { agents: vec![("a".into(), "A".into())], folder: Some("/folder".repeat(9)), ..Around::default() };
        let menu = tray(&Status { conditions: health.visible(), ..serving() }, &around, 0).menu;
        let titles = menu.iter().flat_map(|item| match item {
            Item::Group { text, items } => std::iter::once(text).chain(items.iter().map(title)).collect::<Vec<_>>(),
            item => vec![title(item)],
        });
        assert_eq!(titles.filter(|title| title.chars().count() > TITLE).collect::<Vec<_>>(), [""; 0]);
        assert!(matches!(&menu[0], Item::Choice { action: Action::Panel("status"), .. }), "the panel has the whole of it");
    }

    fn title(item: &Item) -> &String {
        static NONE: String = String::new();
        match item {
            Item::Note(text) | Item::Choice { text, .. } | Item::Switch { text, .. } | Item::Group { text, .. } => text,
            Item::Separator => &NONE,
        }
    }

    #[test]
    fn quitting_is_a_state() {
        let around = |finishing| Around { finishing, ..Around::default() };
        let menu = tray(&serving(), &around(Some(2)), 0);
        assert_eq!((shown(&menu.menu), menu.icon), (vec!["(Finishing 2 requests…)".into(), "Quit now".to_owned()], Icon::Paused));
        assert_eq!(shown(&tray(&serving(), &around(Some(0)), 0).menu)[0], "(Ending…)");
    }

    #[test]
    fn every_state_has_its_icon() {
        let lately = |status: &Status, retried_lately| tray(status, &Around { retried_lately, ..Around::default() }, 0).icon;
        let health = Tracker::default();
        health.set(Code::StateUnwritable, None, "the disk is full");
        let mut deaf = serving();
        deaf.listener.accepting = false;
        assert_eq!(lately(&Status::starting(), true), Icon::Starting);
        assert_eq!(lately(&serving(), false), Icon::Serving);
        assert_eq!(lately(&serving(), true), Icon::Retried);
        assert_eq!(lately(&Status { conditions: health.visible(), ..serving() }, true), Icon::Degraded);
        assert_eq!(lately(&deaf, true), Icon::Broken);
        assert_eq!(lately(&Status { phase: Phase::Draining, ..serving() }, true), Icon::Paused);
    }

    #[test]
    fn every_line_is_found_by_its_name() {
        let panels = PAGES.map(Action::Panel);
        let others = [Action::Restart, Action::CopyEnvironment, Action::Autostart, Action::Quit, Action::QuitNow];
        for action in others.into_iter().chain(panels).chain([Action::Launch("claude".into())]) {
            assert_eq!(Action::of(&action.id()), Some(action));
        }
        for id in ["", "nothing", "panel:nowhere", "quit:now"] {
            assert_eq!(Action::of(id), None, "{id}");
        }
    }
}
