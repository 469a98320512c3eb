//! The one place that writes to the terminal. Colours only for a terminal, and never against NO_COLOR. Nothing that others
//! have written commands the terminal.

use anstyle::{AnsiColor, Style};
use leeward::{config::environment, escape, view::Level};
use std::io::{self, IsTerminal, Write};

/// Cursor home and clear to the end of the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Text whose only sequences are the styles of this file.
pub(crate) struct Text(String);

impl<S: AsRef<str>> From<S> for Text {
    fn from(text: S) -> Self {
        Self(escape::lines(text.as_ref()).into_owned())
    }
}

impl Text {
    /// With more text after it.
    pub(crate) fn then(mut self, text: impl Into<Text>) -> Self {
        self.0.push_str(&text.into().0);
        self
    }
}

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
    pub(crate) fn line(&mut self, text: impl Into<Text>) -> io::Result<()> {
        writeln!(self.writer, "{}", text.into().0)?;
        self.writer.flush()
    }

    /// Lines that others wrote, such as a log's.
    pub(crate) fn lines(&mut self, text: &[u8]) -> io::Result<()> {
        self.writer.write_all(&escape::bytes(text))?;
        self.writer.flush()
    }

    /// What another program reads, to the byte; a terminal gets it without what commands it.
    pub(crate) fn script(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        if self.terminal {
            return self.lines(text.as_ref());
        }
        self.writer.write_all(text.as_ref())?;
        self.writer.flush()
    }

    /// Clears the terminal.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.writer.write_all(CLEAR.as_bytes())?;
        self.writer.flush()
    }

    /// A value as JSON, on several lines for people.
    pub(crate) fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        let text = if self.terminal { format!("{value:#}") } else { value.to_string() };
        writeln!(self.writer, "{}", escape::json(&text))?;
        self.writer.flush()
    }

    /// Text in the colour of its level.
    pub(crate) fn paint(&self, level: Level, text: &str) -> Text {
        let colour = match level {
            Level::Ok => AnsiColor::Green,
            Level::Degraded => AnsiColor::Yellow,
            Level::Broken => AnsiColor::Red,
        };
        self.styled(Style::new().fg_color(Some(colour.into())), text.into())
    }

    /// Text that matters less.
    pub(crate) fn dim(&self, text: &str) -> Text {
        self.styled(Style::new().dimmed(), text.into())
    }

    /// Text that matters more.
    pub(crate) fn bold(&self, text: impl Into<Text>) -> Text {
        self.styled(Style::new().bold(), text.into())
    }

    fn styled(&self, style: Style, Text(text): Text) -> Text {
        Text(if self.colour { format!("{style}{text}{style:#}") } else { text })
    }
}

/// https://no-color.org: set and not empty means no colours. A terminal may also say that it is dumb.
fn colours_wanted() -> bool {
    environment("NO_COLOR").is_none_or(|v| v.is_empty()) && environment("TERM").is_none_or(|v| v != "dumb")
}

/// A message beside the results, on standard error. That nobody reads it changes nothing.
pub(crate) fn say(text: impl AsRef<str>) {
    writeln!(io::stderr(), "leeward: {}", escape::lines(text.as_ref())).ok();
}

/// Asks on the terminal; `None` where nobody sits at one.
pub(crate) fn ask(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    write!(io::stderr(), "leeward: {} [y/N] ", escape::line(question)).ok()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Way = fn(&mut Out, &str) -> io::Result<()>;

    #[test]
    fn foreign_text_reaches_a_terminal_without_its_sequences_by_every_way_out() {
        let ways: [Way; 8] = [
            |out, text| out.line(text),
            |out, text| out.line(out.paint(Level::Broken, text)),
            |out, text| out.line(out.bold(out.paint(Level::Ok, text))),
            |out, text| out.line(out.dim("a").then(text)),
            |out, text| out.line(format!("{text} {text}")),
            |out, text| out.lines(text.as_bytes()),
            |out, text| out.script(text),
            |out, text| out.json(&json!({ text: [text] })),
        ];
        for (at, way) in ways.iter().enumerate() {
            for text in ["\x1b]0;OWNED\x07", "\x1b[2J", "\x1b[35m", "\u{9b}2J", "\u{202e}x", "a\rb", "\x7f\x08"] {
                for colour in [false, true] {
                    let page = Page::default();
                    let mut out = Out { writer: Box::new(page.clone()), colour, terminal: true };
                    way(&mut out, text).unwrap();
                    let shown = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
                    assert!(!shown.contains(text), "{at}: {shown:?}");
                    // Without the styles of this file there is nothing left that commands.
                    let plain = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m"];
                    let rest = plain.iter().fold(shown.clone(), |rest, style| rest.replace(style, ""));
                    assert_eq!(escape::lines(&rest), rest, "{at}: {shown:?}");
                }
            }
        }
    }

    #[test]
    fn what_another_program_reads_stays_as_it_is() {
        let page = Page::default();
        Out { writer: Box::new(page.clone()), colour: false, terminal: false }.script("export A='\x1b\r\n'\n").unwrap();
        assert_eq!(*page.0.lock().unwrap(), b"export A='\x1b\r\n'\n");
    }
}
