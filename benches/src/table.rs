//! Tables in Markdown, and the files they go into. Knows nothing of what the figures mean.

use anyhow::{Context, Result};
use std::{fs, io::Write, path::Path};

/// A table: its head, then rows.
#[derive(Default)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// As Markdown, the columns padded so that the text itself is readable.
    pub(crate) fn markdown(&self) -> String {
        let wide = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).chain(self.head.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.head.len()).map(wide).collect();
        let line = |cells: &[String]| {
            let cells = widths.iter().enumerate().map(|(at, width)| {
                let cell = cells.get(at).map_or("", String::as_str);
                format!(" {cell}{} |", " ".repeat(width - cell.chars().count()))
            });
            format!("|{}\n", cells.collect::<String>())
        };
        let rule = format!("|{}\n", widths.iter().map(|_| " --- |").collect::<String>());
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{rule}{rows}", line(&self.head))
    }
}

/// A figure with three digits that matter, and a dash where there is none.
pub(crate) fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value >= 1000.0 => {
            let whole = format!("{value:.0}");
            let (first, rest) = whole.split_at((whole.len() - 1) % 3 + 1);
            let groups = rest.as_bytes().chunks(3).map(|group| format!(",{}", String::from_utf8_lossy(group)));
            format!("{first}{}", groups.collect::<String>())
        }
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// Writes a file whole or not at all.
pub(crate) fn save(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded() {
        let mut table = Table::new(["proxy", "µs"]);
        table.row(["leeward", "1"]);
        table.row(["x", "1,000"]);
        assert_eq!(table.markdown(), "| proxy   | µs    |\n| --- | --- |\n| leeward | 1     |\n| x       | 1,000 |\n");
    }

    #[test]
    fn figures_have_the_digits_that_matter() {
        let shown = [0.1234, 12.34, 123.4, 1234.4, 1_234_567.0].map(|value| figure(Some(value)));
        assert_eq!(shown, ["0.12", "12.3", "123", "1,234", "1,234,567"]);
        assert_eq!(figure(None), "-");
    }
}
