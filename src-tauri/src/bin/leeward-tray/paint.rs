//! Paints `view::menu` onto the desktop: only what differs from what stands there, and nothing while nothing changes.

use leeward::view::menu::{Icon, Item, Tray};
use tauri::{
    AppHandle, Wry,
    image::Image,
    menu::{CheckMenuItem, IsMenuItem, Menu, MenuItem, PredefinedMenuItem, Submenu},
    tray::{TrayIcon, TrayIconBuilder},
};

/// The icon with its menu, and what is on it.
pub(crate) struct Painting {
    icon: TrayIcon,
    shown: Tray,
    /// The lines that have text, in order, those of groups among them.
    lines: Vec<Line>,
}

/// A line that has text.
#[derive(Clone)]
enum Line {
    Plain(MenuItem<Wry>),
    Switch(CheckMenuItem<Wry>),
}

impl Line {
    fn say(&self, text: &str) -> tauri::Result<()> {
        match self {
            Self::Plain(item) => item.set_text(text),
            Self::Switch(item) => item.set_text(text),
        }
    }

    /// Whether a plain line can be chosen, or a switch is on. A desktop turns its switch when it is chosen, and what was
    /// asked for may not have worked: so that is always shown.
    fn mark(&self, state: bool) -> tauri::Result<()> {
        match self {
            Self::Plain(item) => item.set_enabled(state),
            Self::Switch(item) => item.set_checked(state),
        }
    }
}

impl Painting {
    /// Puts the icon up. `chosen` gets the name of a line.
    pub(crate) fn begin(
        app: &AppHandle,
        tray: Tray,
        chosen: impl Fn(&AppHandle, &str) + Send + Sync + 'static,
    ) -> tauri::Result<Self> {
        let mut lines = Vec::new();
        let menu = menu(app, &tray.menu, &mut lines)?;
        let icon = TrayIconBuilder::with_id("leeward")
            .title("Leeward")
            .tooltip(&tray.tooltip)
            .icon(picture(tray.icon)?)
            .icon_as_template(cfg!(target_os = "macos"))
            .menu(&menu)
            .on_menu_event(move |app, event| chosen(app, event.id().as_ref()))
            .build(app)?;
        Ok(Self { icon, shown: tray, lines })
    }

    /// Changes what differs.
    pub(crate) fn show(&mut self, app: &AppHandle, tray: Tray) -> tauri::Result<()> {
        if tray.icon != self.shown.icon {
            self.icon.set_icon(Some(picture(tray.icon)?))?;
            self.icon.set_icon_as_template(cfg!(target_os = "macos"))?;
        }
        if tray.tooltip != self.shown.tooltip {
            self.icon.set_tooltip(Some(&tray.tooltip))?;
        }
        if tray.menu != self.shown.menu {
            // An open menu closes when it is replaced, so other words are written into the one that is there.
            if shape(&tray.menu) == shape(&self.shown.menu) {
                for (line, (text, state)) in self.lines.iter().zip(words(&tray.menu)) {
                    line.say(text)?;
                    line.mark(state)?;
                }
            } else {
                let mut lines = Vec::new();
                self.icon.set_menu(Some(menu(app, &tray.menu, &mut lines)?))?;
                self.lines = lines;
            }
        }
        self.shown = tray;
        Ok(())
    }

    /// Shows the switches as they are: what the desktop has turned by itself is turned back.
    pub(crate) fn settle(&self) -> tauri::Result<()> {
        let lines = self.lines.iter().zip(words(&self.shown.menu));
        lines.filter(|(line, _)| matches!(line, Line::Switch(_))).try_for_each(|(line, (_, on))| line.mark(on))
    }
}

/// The pictures are part of the program: no file can be missing.
fn picture(icon: Icon) -> tauri::Result<Image<'static>> {
    macro_rules! of {
        ($name:literal) => {
            if cfg!(target_os = "macos") {
                include_bytes!(concat!("../../../icons/tray-", $name, "-template.png")).as_slice()
            } else {
                include_bytes!(concat!("../../../icons/tray-", $name, ".png")).as_slice()
            }
        };
    }
    Image::from_bytes(match icon {
        Icon::Starting => of!("starting"),
        Icon::Serving => of!("serving"),
        Icon::Retried => of!("retried"),
        Icon::Degraded => of!("degraded"),
        Icon::Broken => of!("broken"),
        Icon::Paused => of!("paused"),
    })
}

fn menu(app: &AppHandle, items: &[Item], lines: &mut Vec<Line>) -> tauri::Result<Menu<Wry>> {
    let made = made(app, items, lines)?;
    let list: Vec<_> = made.iter().map(AsRef::as_ref).collect();
    Menu::with_items(app, &list)
}

fn made(app: &AppHandle, items: &[Item], lines: &mut Vec<Line>) -> tauri::Result<Vec<Box<dyn IsMenuItem<Wry>>>> {
    let mut all: Vec<Box<dyn IsMenuItem<Wry>>> = Vec::new();
    for item in items {
        all.push(match item {
            Item::Separator => Box::new(PredefinedMenuItem::separator(app)?),
            Item::Group { text, items } => {
                let within = made(app, items, lines)?;
                let list: Vec<_> = within.iter().map(AsRef::as_ref).collect();
                Box::new(Submenu::with_items(app, text, true, &list)?)
            }
            Item::Note(text) => plain(MenuItem::new(app, text, false, None::<&str>)?, lines),
            Item::Choice { text, action, enabled } => {
                plain(MenuItem::with_id(app, action.id(), text, *enabled, None::<&str>)?, lines)
            }
            Item::Switch { text, action, on } => {
                let item = CheckMenuItem::with_id(app, action.id(), text, true, *on, None::<&str>)?;
                lines.push(Line::Switch(item.clone()));
                Box::new(item)
            }
        });
    }
    Ok(all)
}

fn plain(item: MenuItem<Wry>, lines: &mut Vec<Line>) -> Box<dyn IsMenuItem<Wry>> {
    lines.push(Line::Plain(item.clone()));
    Box::new(item)
}

/// What cannot be changed in a menu that is there: kinds, places, actions, groups.
fn shape(items: &[Item]) -> Vec<String> {
    let parts = items.iter().map(|item| match item {
        Item::Separator => "-".to_owned(),
        Item::Note(_) => "note".to_owned(),
        Item::Choice { action, .. } => action.id(),
        Item::Switch { action, .. } => format!("{}?", action.id()),
        Item::Group { text, items } => format!("{text} > {:?}", shape(items)),
    });
    parts.collect()
}

/// Text and state of each line that has them, in the order of `lines`.
fn words(items: &[Item]) -> Vec<(&str, bool)> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Item::Separator => {}
            Item::Note(text) => all.push((text.as_str(), false)),
            Item::Choice { text, enabled, .. } => all.push((text, *enabled)),
            Item::Switch { text, on, .. } => all.push((text, *on)),
            Item::Group { items, .. } => all.extend(words(items)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use leeward::view::menu::Action;

    #[test]
    fn only_other_words_keep_the_shape() {
        let choice = |text: &str, enabled| Item::Choice { text: text.into(), action: Action::Restart, enabled };
        let group = |items| Item::Group { text: "Launch".into(), items };
        let before = [Item::Note("a".into()), group(vec![choice("Restart", true)]), Item::Separator];
        let after = [Item::Note("b".into()), group(vec![choice("Restarting…", false)]), Item::Separator];
        assert_eq!(shape(&before), shape(&after));
        assert_eq!(words(&after), [("b", false), ("Restarting…", false)]);
        assert_ne!(shape(&before), shape(&before[1..]));
        assert_ne!(shape(&[group(Vec::new())]), shape(&[group(vec![Item::Separator])]));
    }

    #[test]
    fn every_icon_has_its_picture() {
        let sizes: Vec<_> = Icon::ALL.iter().map(|icon| picture(*icon).unwrap().width()).collect();
        assert_eq!(sizes, [64; 6]);
    }
}
