//! The one place that writes to the terminal. Colours only for a terminal, and never against NO_COLOR.

use anstyle::{AnsiColor, Style};
use leeward::{config::environment, view::Level};
use std::io::{self, IsTerminal, Write};

/// Where a command writes its results.
pub(crate) struct Out {
    writer: Box<dyn Write>,
    colour: bool,
    terminal: bool,
}

impl Out {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { colour: terminal && colours_wanted(), terminal, writer: Box::new(stdout) }
    }

    /// True when a person reads it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A line, written out at once.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.writer, "{}", text.as_ref())?;
        self.writer.flush()
    }

    /// Text as it is.
    pub(crate) fn text(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        self.writer.write_all(text.as_ref())?;
        self.writer.flush()
    }

    /// A value as JSON, on several lines for people.
    pub(crate) fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        self.line(if self.terminal { format!("{value:#}") } else { value.to_string() })
    }

    /// Text in the colour of its level.
    pub(crate) fn paint(&self, level: Level, text: &str) -> String {
        let colour = match level {
            Level::Ok => AnsiColor::Green,
            Level::Degraded => AnsiColor::Yellow,
            Level::Broken => AnsiColor::Red,
        };
        self.styled(Style::new().fg_color(Some(colour.into())), text)
    }

    /// Text that matters less.
    pub(crate) fn dim(&self, text: &str) -> String {
        self.styled(Style::new().dimmed(), text)
    }

    /// Text that matters more.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// https://no-color.org: set and not empty means no colours. A terminal may also say that it is dumb.
fn colours_wanted() -> bool {
    environment("NO_COLOR").is_none_or(|v| v.is_empty()) && environment("TERM").is_none_or(|v| v != "dumb")
}

/// A message beside the results, on standard error. That nobody reads it changes nothing.
pub(crate) fn say(text: impl AsRef<str>) {
    writeln!(io::stderr(), "leeward: {}", text.as_ref()).ok();
}
