//! Takes our values out of a text that may have changed since. What its user has changed stays. Pure.

use super::{
    journal::{Entry, Value},
    key::Trouble,
    text,
};

/// A value of ours that its user has changed, or taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Where it stood, as people write it.
    pub key: String,
    /// What stands there now; `None` where nothing does.
    pub now: Option<String>,
}

/// What a value has come to.
pub(super) fn drift(entry: &Entry, value: &Value, text: &str) -> Result<Option<Drift>, Trouble> {
    let now = text::value(entry.form, text, &value.key)?;
    Ok((now.as_deref() != Some(&value.value)).then(|| Drift { key: value.key.to_string(), now }))
}

/// The text without the values of an agent, or of all, and what is not ours any more.
pub(super) fn inverse(entry: &Entry, agent: Option<&str>, text: &str) -> Result<(String, Vec<Drift>), Trouble> {
    let (mut out, mut drifts) = (text.to_owned(), Vec::new());
    for value in entry.values.iter().rev().filter(|value| agent.is_none_or(|agent| value.agent == agent)) {
        match drift(entry, value, &out)? {
            None => out = text::restore(entry.form, &out, &value.key, value.former.as_deref())?,
            Some(drift) => drifts.push(drift),
        }
    }
    drifts.reverse();
    Ok((text::clear(entry.form, out, &entry.made)?, drifts))
}
