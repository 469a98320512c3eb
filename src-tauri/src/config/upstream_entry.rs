//! An upstream as it stands in the file: its URL, or a table that says more of it. And the paths that may be sent again. Pure.

use super::{definition::WebSocket, key::Type};
use serde::{
    Deserialize, Serialize,
    de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{collections::BTreeMap, fmt};

plain! {
    UpstreamEntry: Type::Text,
    BTreeMap<String, UpstreamEntry>: Type::Table,
}

/// An upstream in the file.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(untagged)]
pub(super) enum UpstreamEntry {
    /// `"https://gateway.example.com"`
    Url(String),
    /// `{ url = "https://gateway.example.com", replay = ["/v2/complete"] }`
    Table(UpstreamTable),
}

/// The longer form.
#[derive(Clone, Debug, Default, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamTable {
    /// May be left out where the name has a URL without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// Paths at the upstream that are inferences, beside those that Leeward knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) replay: Vec<String>,
    /// What becomes of WebSockets there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) websocket: Option<WebSocket>,
}

impl UpstreamEntry {
    /// With a URL, in the shorter form if it says all.
    pub(super) fn new(url: String, replay: &[ReplayPath], websocket: Option<WebSocket>) -> Self {
        if replay.is_empty() && websocket.is_none() {
            return Self::Url(url);
        }
        Self::Table(UpstreamTable { url: Some(url), replay: replay.iter().map(|path| path.0.clone()).collect(), websocket })
    }

    /// In the longer form.
    pub(super) fn into_table(self) -> UpstreamTable {
        match self {
            Self::Url(url) => UpstreamTable { url: Some(url), ..UpstreamTable::default() },
            Self::Table(table) => table,
        }
    }
}

impl<'de> Deserialize<'de> for UpstreamEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = UpstreamEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, which is its URL, or a table with `url`, `replay` and `websocket`")
            }

            fn visit_str<E: de::Error>(self, url: &str) -> Result<UpstreamEntry, E> {
                Ok(UpstreamEntry::Url(url.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UpstreamEntry, A::Error> {
                UpstreamTable::deserialize(MapAccessDeserializer::new(map)).map(UpstreamEntry::Table)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// A path that may be sent again: `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayPath(String);

impl ReplayPath {
    /// Reads an entry of `replay`.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` {why}, such as \"/v2/complete\" or \"/models/*/generate\""));
        if !text.starts_with('/') {
            return wrong("does not begin with a slash; write the path at the upstream");
        }
        if text.contains(['?', '#']) {
            return wrong("has a query, and only paths are compared; write the path alone");
        }
        if text.trim_matches(['/', '*']).is_empty() {
            return wrong("is every path, and many have effects that would happen twice; write the paths that only ask a model");
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it is this path, from its first to its last character.
    pub fn is(&self, path: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, path, want) in [
            ("/v2/complete", "/v2/complete", true),
            ("/v2/complete", "/v2/complete/more", false),
            ("/v2/complete", "/x/v2/complete", false),
            ("/path/*", "/path/", true),
            ("/path/*", "/path/a/b", true),
            ("/path/*", "/path", false),
            ("/m/*/generate", "/m/a/b/generate", true),
            ("/m/*/generate", "/m/generate", false),
            ("/*/a/*/b", "/x/a/y/b", true),
            ("/*/a/*/b", "/x/a/b", false),
            ("/aba*ba", "/aba", false),
        ] {
            assert_eq!(ReplayPath::parse(pattern).unwrap().is(path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_path_or_every_path_is_refused_with_a_sentence() {
        for (entry, want) in [
            ("v2/complete", "begin with a slash"),
            ("", "begin with a slash"),
            ("/v2?x", "has a query"),
            ("/*", "is every path"),
            ("/", "is every path"),
            ("/*/*", "is every path"),
        ] {
            let got = ReplayPath::parse(entry).unwrap_err();
            assert!(got.contains(want) && got.contains("/v2/complete"), "{entry}: {got}");
        }
    }
}
