//! What the top level of a request's body says: its model, whether a stream is wanted, and whether the request has an effect
//! besides its response. Reads nothing below that, and keeps nothing but the model's name.

use crate::message::Payload;
use bytes::Bytes;
use serde::{
    Deserialize,
    de::{self, Deserializer, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;
use std::{borrow::Cow, fmt, io};

/// Clients put the model first; what comes later than this is not looked for.
const LOOKED_AT: usize = 64 << 10;
/// The longest names of gateways have half of this.
const MAX_NAME: usize = 100;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The model, where only that was looked for.
    pub(super) model: Option<String>,
    /// `stream`, where it stands there.
    pub(super) stream: Option<bool>,
    /// Running the request twice changes more than the bill: something of it stays at the API, or a tool of the API's acts.
    pub(super) has_effect: bool,
}

/// The model's name, if it stands near the body's beginning. Cheap enough for each request.
pub(super) fn model(payload: &Payload) -> Option<String> {
    model_of(payload.read_so_far())
}

/// Everything, which reads the body to its end: for when it matters. A body that is no JSON says nothing.
pub(super) fn whole(payload: &Payload) -> Look {
    whole_of(payload.read_so_far())
}

/// The first pieces of a body; they are joined only where the first one is not enough.
fn model_of<'a>(pieces: impl Iterator<Item = &'a Bytes> + Clone) -> Option<String> {
    let first = pieces.clone().next()?;
    let in_slice = |json: &[u8]| read(&mut serde_json::Deserializer::from_slice(json), true).model;
    if let Some(found) = in_slice(&first[..first.len().min(LOOKED_AT)]) {
        return sane(&found);
    }
    if first.len() >= LOOKED_AT {
        return None;
    }
    let mut joined = Vec::with_capacity(LOOKED_AT);
    for piece in pieces {
        joined.extend_from_slice(&piece[..piece.len().min(LOOKED_AT - joined.len())]);
    }
    if joined.len() == first.len() { None } else { in_slice(&joined).and_then(|found| sane(&found)) }
}

fn whole_of<'a>(mut pieces: impl Iterator<Item = &'a Bytes> + Clone) -> Look {
    let mut rest = pieces.clone();
    match (rest.next(), rest.next()) {
        (Some(only), None) => read(&mut serde_json::Deserializer::from_slice(only), false),
        _ => {
            let pieces = std::iter::from_fn(|| pieces.next());
            read(&mut serde_json::Deserializer::from_reader(Joined { pieces, piece: &[] }), false)
        }
    }
}

/// Pieces read one after the other, so that none is copied.
struct Joined<'a, I> {
    pieces: I,
    piece: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a Bytes>> io::Read for Joined<'a, I> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.next() {
                Some(next) => self.piece = next,
                None => return Ok(0),
            }
        }
        self.piece.read(to)
    }
}

/// A name that may be shown.
pub(super) fn sane(name: &str) -> Option<String> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME;
    let sane = fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+[]".contains(&b));
    sane.then(|| name.to_owned())
}

/// Reads an object that may break off.
fn read<'de>(json: impl Deserializer<'de>, until_model: bool) -> Look {
    let mut found = TopLevel::default();
    // Reading ends as an error where enough has been found, and where the text breaks off.
    json.deserialize_map(Reader { found: &mut found, until_model }).ok();
    Look { has_effect: found.has_effect || (found.continues && found.store), model: found.model, stream: found.stream }
}

/// What the top level has said so far.
struct TopLevel {
    model: Option<String>,
    stream: Option<bool>,
    has_effect: bool,
    /// It goes on from a response that the API keeps.
    continues: bool,
    /// Its own response is kept, which is the API's default.
    store: bool,
}

impl Default for TopLevel {
    fn default() -> Self {
        Self { model: None, stream: None, has_effect: false, continues: false, store: true }
    }
}

/// A tool as far as it says who runs it.
#[derive(Deserialize)]
struct Tool {
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    environment: Value,
}

impl Tool {
    /// True when the API itself runs it and it may change something: code in a container that stays, others' MCP servers.
    /// Searching and fetching changes nothing, and what the client runs it runs for each response that it gets.
    fn has_effect(&self) -> bool {
        match self.kind.as_str() {
            Some("mcp" | "mcp_toolset" | "code_interpreter") => true,
            Some("shell") => self.environment["type"].as_str().is_some_and(|kind| kind != "local"),
            Some(kind) => kind.starts_with("code_execution"),
            None => false,
        }
    }
}

struct Reader<'s> {
    found: &'s mut TopLevel,
    until_model: bool,
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { found, until_model } = self;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "model" if until_model => {
                    found.model = Some(map.next_value::<Cow<'de, str>>()?.into_owned());
                    return Err(de::Error::custom("found"));
                }
                _ if until_model => drop(map.next_value::<IgnoredAny>()?),
                "stream" => found.stream = map.next_value::<Value>()?.as_bool(),
                "store" => found.store = map.next_value::<Value>()? != Value::Bool(false),
                "previous_response_id" => found.continues |= is_set(&map.next_value()?),
                "background" | "conversation" | "mcp_servers" | "container" => found.has_effect |= is_set(&map.next_value()?),
                "tools" => found.has_effect |= map.next_value::<Vec<Tool>>()?.iter().any(Tool::has_effect),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A field that is there and says anything.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(texts: &[&str]) -> Vec<Bytes> {
        texts.iter().map(|p| Bytes::copy_from_slice(p.as_bytes())).collect()
    }

    fn model_in(texts: &[&str]) -> Option<String> {
        model_of(pieces(texts).iter())
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
            assert_eq!(model_in(&[body]).as_deref(), want, "{}", &body[..body.len().min(80)]);
        }
        assert_eq!(model_in(&[r#"{"model":"cla"#, r#"ude"}"#]).as_deref(), Some("claude"));
        assert_eq!(model_in(&[]), None);
        assert_eq!(model_in(&[&format!(r#"{{"model":"{}"}}"#, "m".repeat(MAX_NAME + 1))]), None);
    }

    #[test]
    fn an_effect_is_seen_wherever_it_stands_at_the_top_level() {
        for (fields, want) in [
            (r#""background":true"#, true),
            (r#""background":false"#, false),
            (r#""conversation":"conv_1""#, true),
            (r#""conversation":{"id":"conv_1"}"#, true),
            (r#""conversation":null"#, false),
            (r#""previous_response_id":"resp_1""#, true),
            (r#""previous_response_id":"resp_1","store":true"#, true),
            (r#""store":false,"previous_response_id":"resp_1""#, false),
            (r#""previous_response_id":null,"store":true"#, false),
            (r#""store":true"#, false),
            (r#""mcp_servers":[{"type":"url","url":"https://x"}]"#, true),
            (r#""mcp_servers":[]"#, false),
            (r#""container":"container_1""#, true),
            (r#""container":{"skills":[{"skill_id":"pptx"}]}"#, true),
            (r#""tools":[{"name":"bash","input_schema":{}},{"type":"code_execution_20250825","name":"code_execution"}]"#, true),
            (r#""tools":[{"type":"mcp","server_url":"https://x"}]"#, true),
            (r#""tools":[{"type":"mcp_toolset"}]"#, true),
            (r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#, true),
            (r#""tools":[{"type":"shell","environment":{"type":"container_auto"}}]"#, true),
            (r#""tools":[{"type":"shell","environment":{"type":"local"}},{"type":"shell"}]"#, false),
            (r#""tools":[{"type":"function","name":"mcp"},{"type":"web_search_20250305"},{"type":"bash_20250124"}]"#, false),
            (r#""tools":[{"functionDeclarations":[]},{"googleSearch":{}}]"#, false),
            (r#""metadata":{"background":true},"messages":[{"container":"c"}]"#, false),
        ] {
            let long = "x".repeat(3 * LOOKED_AT);
            let body = format!(r#"{{"model":"m","input":"{long}",{fields},"stream":true}}"#);
            let whole = whole_of(pieces(&[&body]).iter());
            assert_eq!((whole.has_effect, whole.stream), (want, Some(true)), "{fields}");
            let (first, second) = body.split_at(body.len() - 20);
            assert_eq!(whole_of(pieces(&[first, second]).iter()), whole, "{fields} in two pieces");
        }
        for body in ["", "no json", r#"["background"]"#] {
            assert_eq!(whole_of(pieces(&[body]).iter()), Look::default(), "{body}");
        }
    }
}
