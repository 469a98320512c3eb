//! The report as Markdown, for bug reports. The same data as the JSON; what others wrote cannot become markup.

use super::{finding::Row, report::Report};
use serde_json::Value;
use std::fmt::Write;

impl Report {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# leeward doctor: {}\n\nLeeward {} on {} ({}), {} ms.\n",
            self.verdict, self.version, self.system, self.processor, self.took_ms
        );
        let problems = self.problems();
        if !problems.is_empty() {
            text.push_str("\n## What is wrong, or could not be found out\n\n");
            for row in &problems {
                line(&mut text, row);
            }
        }
        text.push_str("\n## All checks\n\n| check | verdict | measured | facts | ms |\n| --- | --- | --- | --- | --- |\n");
        for row in &self.checks {
            let said = row.finding.verdict.reason().unwrap_or(&row.finding.measured);
            let cells = [
                name(row),
                row.finding.verdict.as_str().to_owned(),
                cell(said),
                facts(&row.finding.facts),
                row.took.as_millis().to_string(),
            ];
            writeln!(text, "| {} |", cells.join(" | ")).ok();
        }
        if !self.hypotheses.is_empty() {
            text.push_str("\n## What may be suspected\n\n| hypothesis | test | result on this machine | seen |\n| --- | --- | --- | --- |\n");
            for h in &self.hypotheses {
                writeln!(text, "| {} | {} | {} | {} |", cell(h.hypothesis), cell(h.test), h.result, cell(&h.seen)).ok();
            }
        }
        text
    }
}

fn line(text: &mut String, row: &Row) {
    let finding = &row.finding;
    let said = finding.verdict.reason().unwrap_or(&finding.measured);
    write!(text, "- **{}** {}: {}", finding.verdict.as_str(), name(row), cell(said)).ok();
    if let Some(advice) = &finding.advice {
        write!(text, " To do: {}.", cell(advice)).ok();
    }
    text.push('\n');
}

fn name(row: &Row) -> String {
    match &row.finding.subject {
        Some(subject) => format!("`{}` ({})", row.check.id(), cell(subject)),
        None => format!("`{}`", row.check.id()),
    }
}

fn facts(facts: &Value) -> String {
    let text = cell(&facts.to_string());
    if text == "{}" { String::new() } else { format!("`{}`", text.replace('`', "'")) }
}

/// Text of a cell: one line, and no character that Markdown or HTML heeds.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace('|', "/").replace('<', "(").replace('>', ")")
}
