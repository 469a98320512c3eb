//! Where lines go besides the file, and their form for systemd's journal: it has the time itself, and reads each line's priority
//! from its beginning (sd-daemon(3)).

use std::fmt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Full, Writer},
        layer,
    },
    registry::LookupSpan,
};

/// What standard error gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// Nothing.
    Nothing,
    /// Lines for people.
    Lines,
    /// Lines for systemd's journal.
    Journal,
}

impl From<bool> for Stderr {
    fn from(wanted: bool) -> Self {
        if wanted { Self::Lines } else { Self::Nothing }
    }
}

pub(super) fn lines<W>(writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let plain = tracing_subscriber::fmt::format().without_time().with_ansi(false);
    Box::new(layer().with_ansi(false).event_format(Prioritized(plain)).with_writer(writer))
}

/// A line with its priority before it.
struct Prioritized(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Prioritized
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// As syslog(3) counts.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_begins_with_its_priority_and_has_no_time() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = Registry::default().with(lines(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("a");
            tracing::warn!(port = 1, "b");
            tracing::info!("c");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        let begins: Vec<_> = lines.iter().map(|words| words[0]).collect();
        assert_eq!(begins, ["<3>ERROR", "<4>", "<6>"], "{text}");
        assert!(lines[1][1] == "WARN" && text.contains("b port=1"), "{text}");
    }
}
