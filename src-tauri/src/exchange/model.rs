//! The model that an inference asks for, for whoever looks at what passes. Reads one name and nothing else of a request.

use crate::message::Payload;
use bytes::Bytes;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::{borrow::Cow, fmt};

/// Clients put the model first; what comes later than this is not looked for.
const LOOKED_AT: usize = 64 << 10;
/// The longest names of gateways have half of this.
const MAX_NAME: usize = 100;

/// The model's name: from the path where the API has it there (Gemini), else from the body's top level.
pub(super) fn name(path: &str, payload: &Payload) -> Option<String> {
    if let Some((_, rest)) = path.rsplit_once("/models/") {
        return rest.split(':').next().and_then(sane);
    }
    of_body(payload.read_so_far())
}

/// The first pieces of a body; they are joined only where the first one is not enough.
fn of_body<'a>(pieces: impl Iterator<Item = &'a Bytes> + Clone) -> Option<String> {
    let first = pieces.clone().next()?;
    if let Some(found) = top_level(&first[..first.len().min(LOOKED_AT)]) {
        return sane(&found);
    }
    if first.len() >= LOOKED_AT {
        return None;
    }
    let mut joined = Vec::with_capacity(LOOKED_AT);
    for piece in pieces {
        joined.extend_from_slice(&piece[..piece.len().min(LOOKED_AT - joined.len())]);
    }
    if joined.len() == first.len() { None } else { top_level(&joined).and_then(|found| sane(&found)) }
}

fn sane(name: &str) -> Option<String> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME;
    let sane = fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+[]".contains(&b));
    sane.then(|| name.to_owned())
}

/// The text of the key `model` of an object that may break off after it.
fn top_level(json: &[u8]) -> Option<String> {
    let mut found = None;
    // Reading ends as an error where the name has been found, and where the text breaks off.
    serde_json::Deserializer::from_slice(json).deserialize_map(Finder(&mut found)).ok();
    found
}

struct Finder<'f>(&'f mut Option<String>);

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "model" {
                *self.0 = Some(map.next_value::<Cow<'de, str>>()?.into_owned());
                return Err(de::Error::custom("found"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&str]) -> Option<String> {
        let pieces: Vec<Bytes> = pieces.iter().map(|p| Bytes::copy_from_slice(p.as_bytes())).collect();
        of_body(pieces.iter())
    }

    #[test]
    fn the_top_level_model_is_found_and_nothing_else() {
        let late = format!(r#"{{"messages":["{}"],"model":"m"}}"#, "x".repeat(LOOKED_AT));
        for (body, want) in [
            (r#"{"model":"claude-opus-4-5","messages":[{"content":"hi"}]}"#, Some("claude-opus-4-5")),
            (r#" { "messages": [{"model":"inner"}], "model" : "vendor/m:1" "#, Some("vendor/m:1")),
            (r#"{"messages":[{"model":"inner"}]}"#, None),
            (r#"{"text":"\"model\":\"quoted\"","x":1}"#, None),
            (r#"{"model":{"name":"x"}}"#, None),
            (r#"{"model":"two words"}"#, None),
            (r#"{"model":"m"#, None),
            (r#"["model","m"]"#, None),
            ("not json", None),
            ("", None),
            (late.as_str(), None),
        ] {
            assert_eq!(of(&[body]).as_deref(), want, "{}", &body[..body.len().min(80)]);
        }
        assert_eq!(of(&[r#"{"model":"cla"#, r#"ude"}"#]).as_deref(), Some("claude"));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[&format!(r#"{{"model":"{}"}}"#, "m".repeat(MAX_NAME + 1))]), None);
    }

    #[test]
    fn an_api_that_has_the_model_in_its_path_is_read_there() {
        let payload = Payload::Spent;
        assert_eq!(name("/v1beta/models/gemini-3-pro:streamGenerateContent", &payload).as_deref(), Some("gemini-3-pro"));
        assert_eq!(name("/v1/messages", &payload), None);
    }
}
