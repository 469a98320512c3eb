//! What is known of a key, and whether a value is in its range. Names no key.

use serde::de::DeserializeOwned;
use std::cmp::Ordering;
use toml::Value;

/// A section with its keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// Empty at the top of the file.
    pub(super) section: &'static str,
    /// A sentence.
    pub(super) about: &'static str,
    /// In the order of the definition.
    pub(super) keys: &'static [Key],
}

/// A key; texts of values are TOML, as in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// `retry`; empty at the top of the file.
    pub(super) section: &'static str,
    /// `total`.
    pub(super) leaf: &'static str,
    /// What a value looks like.
    pub(super) kind: Type,
    /// Its meaning in a sentence or two, with blanks around it.
    pub(super) help: &'static str,
    /// None where the key may be left out.
    pub(super) default: Option<&'static str>,
    /// What happens then, if not nothing.
    pub(super) otherwise: Option<&'static str>,
    /// Of what can be compared.
    pub(super) range: Option<Range>,
    /// Whether the value is hidden.
    pub(super) secrecy: Option<Secrecy>,
}

/// The type of a key for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Duration,
    Size,
    Integer,
    Number,
    Boolean,
    /// Names and what they mean.
    Choice(&'static [(&'static str, &'static str)]),
    Text,
    List,
    Table,
}

/// The values that a key may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) min: Limit,
    pub(super) max: Limit,
    /// A value below the range that switches the feature off.
    pub(super) off: Option<&'static str>,
    /// What is counted.
    pub(super) unit: Option<&'static str>,
}

/// An end of a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) text: &'static str,
    /// Why not further.
    pub(super) why: Option<&'static str>,
}

/// When a value is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    Always,
    /// When it is a URL with user and password.
    WithLogin,
}

/// A value that is not in its range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Dotted.
    pub(super) key: String,
    /// For the user.
    pub(super) message: String,
}

impl Group {
    /// Checks a value of one of its keys.
    ///
    /// # Errors
    /// The value is not in the key's range.
    pub(super) fn admit<K: DeserializeOwned + PartialOrd>(&self, leaf: &str, value: Option<&K>) -> Result<(), Refusal> {
        let key = self.keys.iter().find(|key| key.leaf == leaf);
        match (key, value) {
            (Some(key), Some(value)) => key.admit(value).map_or(Ok(()), |message| Err(Refusal { key: key.name(), message })),
            _ => Ok(()),
        }
    }
}

impl Key {
    /// Dotted: `retry.total`.
    pub(super) fn name(&self) -> String {
        if self.section.is_empty() { self.leaf.to_owned() } else { format!("{}.{}", self.section, self.leaf) }
    }

    /// The variable that sets it; none for a table.
    pub(super) fn variable(&self) -> Option<String> {
        (self.kind != Type::Table).then(|| variable(&self.name()))
    }

    /// Its meaning.
    pub(super) fn help(&self) -> &'static str {
        self.help.trim()
    }

    /// Its meaning and that of each choice, in one paragraph.
    pub(super) fn meaning(&self) -> String {
        let mut text = self.help().to_owned();
        if let Type::Choice(choices) = self.kind {
            text.extend(choices.iter().map(|(name, meaning)| format!(" `{name}`: {}", meaning.trim())));
        }
        text
    }

    /// The default as a value.
    pub(super) fn default(&self) -> Option<Value> {
        self.default.map(constant)
    }

    /// What is wrong with a value of this key.
    fn admit<K: DeserializeOwned + PartialOrd>(&self, value: &K) -> Option<String> {
        let Range { min, max, off, .. } = self.range?;
        if off.is_some_and(|off| *value == constant(off)) {
            return None;
        }
        let beyond = |limit: Limit, side| value.partial_cmp(&constant(limit.text)).is_none_or(|order| order == side);
        let (words, limit) = match () {
            () if beyond(min, Ordering::Less) => ("least", min),
            () if beyond(max, Ordering::Greater) => ("most", max),
            () => return None,
        };
        let off = off.map_or(String::new(), |off| format!(", or {} to switch it off", bare(off)));
        let why = limit.why.map_or(String::new(), |why| format!(": {why}"));
        Some(format!("must be at {words} {}{off}{why}", bare(limit.text)))
    }
}

impl Type {
    /// Its name in the panel's API and in the documentation.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Choice(_) => "choice",
            Self::Text => "text",
            Self::List => "list",
            Self::Table => "table",
        }
    }

    /// The names of a choice.
    pub(super) fn choices(self) -> impl Iterator<Item = &'static str> {
        let choices = if let Self::Choice(choices) = self { choices } else { &[] };
        choices.iter().map(|(name, _)| *name)
    }
}

impl Range {
    /// `From 1s to 1h, or 0s to switch it off.`
    pub(super) fn in_words(&self) -> String {
        let unit = self.unit.map_or(String::new(), |unit| format!(" {unit}"));
        let off = self.off.map_or(String::new(), |off| format!(", or {} to switch it off", bare(off)));
        format!("From {} to {}{unit}{off}.", bare(self.min.text), bare(self.max.text))
    }
}

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("LEEWARD_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// A text of TOML as people read it.
pub(super) fn bare(text: &str) -> &str {
    text.trim_matches('"')
}

/// A value of the definition, read as the file's are. The test of all keys reads each of them.
pub(super) fn constant<K: DeserializeOwned>(text: &'static str) -> K {
    let read = toml::de::ValueDeserializer::parse(text).and_then(K::deserialize);
    read.unwrap_or_else(|why| unreachable!("{text} in the definition of the config: {why}"))
}

/// What stands in a list of one; the macro has lists of none or one.
pub(super) const fn only<T: Copy>(list: &[T]) -> Option<T> {
    if list.is_empty() { None } else { Some(list[0]) }
}

#[cfg(test)]
mod tests;
