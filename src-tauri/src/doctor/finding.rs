//! What a check found: verdict, facts, and what to do. Data only.

use super::check::Check;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// What is said of a thing. What could not be asked is never called wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was measured and is right.
    Ok,
    /// It works, and may be what goes wrong at times.
    Warning,
    /// It does not work.
    Broken,
    /// It was not tried, and why.
    NotRun(String),
    /// It was tried and could not be found out, and why.
    NotKnown(String),
}

impl Verdict {
    /// Its name in JSON; public and stable.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Broken => "broken",
            Self::NotRun(_) => "not-run",
            Self::NotKnown(_) => "not-known",
        }
    }

    /// Why it was not run, or is not known.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::NotRun(why) | Self::NotKnown(why) => Some(why),
            Self::Ok | Self::Warning | Self::Broken => None,
        }
    }

    /// The worst comes first; what is not known stands before what was not run.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Broken => 0,
            Self::Warning => 1,
            Self::NotKnown(_) => 2,
            Self::NotRun(_) => 3,
            Self::Ok => 4,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it concerns, where there are several: an upstream, an agent.
    pub subject: Option<String>,
    /// What is said of it.
    pub verdict: Verdict,
    /// What was measured, as a sentence.
    pub measured: String,
    /// The same as data.
    pub facts: Value,
    /// What to do, where it follows from what was measured.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, measured: impl Into<String>, facts: Value) -> Self {
        Self { subject: None, verdict, measured: measured.into(), facts, advice: None }
    }

    pub(super) fn not_run(why: impl Into<String>) -> Self {
        Self::new(Verdict::NotRun(why.into()), "", Value::Object(Default::default()))
    }

    pub(super) fn not_known(why: impl Into<String>) -> Self {
        Self::new(Verdict::NotKnown(why.into()), "", Value::Object(Default::default()))
    }

    pub(super) fn of(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// A finding and the check that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The check.
    pub check: Check,
    /// What it found.
    pub finding: Finding,
    /// How long the check took.
    pub took: Duration,
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Finding { subject, verdict, measured, facts, advice } = &self.finding;
        let shown = Shown {
            id: self.check,
            subject: subject.as_deref(),
            title: self.check.title(),
            why: self.check.why(),
            verdict: verdict.as_str(),
            reason: verdict.reason(),
            measured,
            facts,
            advice: advice.as_deref(),
            took_ms: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        };
        shown.serialize(serializer)
    }
}

/// What one check found of one subject.
#[derive(Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "DoctorRow"))]
pub(super) struct Shown<'a> {
    /// The check; public and stable.
    #[cfg_attr(test, ts(type = "string"))]
    id: Check,
    /// What it concerns, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    subject: Option<&'a str>,
    /// What is looked at.
    title: &'a str,
    /// Why it matters.
    why: &'a str,
    /// What is said of it.
    #[cfg_attr(test, ts(type = "\"ok\" | \"warning\" | \"broken\" | \"not-run\" | \"not-known\""))]
    verdict: &'a str,
    /// Why it was not run, or is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    reason: Option<&'a str>,
    /// What was measured, as a sentence.
    measured: &'a str,
    /// The same as data.
    #[cfg_attr(test, ts(type = "Record<string, unknown>"))]
    facts: &'a Value,
    /// What to do, where it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    advice: Option<&'a str>,
    /// How long the check took.
    took_ms: u64,
}
