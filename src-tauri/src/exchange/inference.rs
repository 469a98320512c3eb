//! The inference APIs that Leeward knows, in one table over the whole path at the upstream: how their clients expect errors,
//! where a request names its model, whether it asks for a stream. Facts, and how they are found; decides nothing about
//! sending again (`operation`, `retry`).

use super::error::Dialect;
use std::borrow::Cow;

/// Where a request names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    /// At the body's top level.
    InBody,
    /// In the segment that the pattern's last `*` stands for.
    InPath,
}

/// Whether a request asks for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streams {
    /// Its response is one object.
    Never,
    /// `"stream": true` in its body.
    WhenAsked,
    /// Without `"stream": false` in its body.
    UnlessRefused,
    /// Whatever its body says.
    Always,
}

/// One row.
#[derive(Debug)]
pub(super) struct Api {
    /// The whole path by segments. `**` at the start: whatever stands before (a gateway's own path). `*`: one segment.
    /// `*:verb`: one that ends so. `{v}`: a version (`v1`, `v4`, `beta`).
    path: &'static str,
    /// Its last segment, by which nearly all rows are told apart.
    last: &'static str,
    pub(super) dialect: Dialect,
    pub(super) model: Model,
    pub(super) streams: Streams,
}

const fn row(path: &'static str, dialect: Dialect, model: Model, streams: Streams) -> Api {
    let (bytes, mut start) = (path.as_bytes(), path.len());
    while start > 0 && bytes[start - 1] != b'/' {
        start -= 1;
    }
    Api { path, last: path.split_at(start).1, dialect, model, streams }
}

use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
use Model::{InBody, InPath};
use Streams::{Always, Never, UnlessRefused, WhenAsked};

/// The first row that fits counts. Operations whose name is no word of others' APIs are known after any path, so that
/// gateways need no row; the others only after a version or at a place that somebody uses.
static TABLE: &[Api] = &[
    // Anthropic; also DeepSeek, Moonshot, Kimi, OpenRouter and Azure where they speak its dialect.
    row("**/{v}/messages", Anthropic, InBody, WhenAsked),
    row("**/{v}/messages/count_tokens", Anthropic, InBody, Never),
    // Azure OpenAI: the deployment stands for the model.
    row("**/openai/deployments/*/chat/completions", OpenAi, InPath, WhenAsked),
    row("**/openai/deployments/*/completions", OpenAi, InPath, WhenAsked),
    row("**/openai/deployments/*/responses", OpenAi, InPath, WhenAsked),
    row("**/openai/deployments/*/embeddings", OpenAi, InPath, Never),
    // OpenAI under a version (`/v1`, `/v4`, `/api/paas/v4`, `/openai/v1`, `/api/v1`, `/compatible-mode/v1`), without one
    // (DeepSeek), below `/openai` (Azure, Gemini's and Vertex' compatible paths) and `/inference` (GitHub Models).
    row("**/chat/completions", OpenAi, InBody, WhenAsked),
    row("**/{v}/completions", OpenAi, InBody, WhenAsked),
    row("/completions", OpenAi, InBody, WhenAsked),
    row("**/{v}/responses", OpenAi, InBody, WhenAsked),
    row("/responses", OpenAi, InBody, WhenAsked),
    row("**/openai/responses", OpenAi, InBody, WhenAsked),
    row("**/{v}/embeddings", OpenAi, InBody, Never),
    row("/embeddings", OpenAi, InBody, Never),
    row("**/openai/embeddings", OpenAi, InBody, Never),
    row("**/inference/embeddings", OpenAi, InBody, Never),
    row("**/{v}/moderations", OpenAi, InBody, Never),
    row("/moderations", OpenAi, InBody, Never),
    // Codex with a ChatGPT login; its history is made shorter by the second one.
    row("**/codex/responses", OpenAi, InBody, WhenAsked),
    row("**/codex/responses/compact", OpenAi, InBody, Never),
    row("**/{v}/responses/compact", OpenAi, InBody, Never),
    row("**/{v}/responses/input_tokens", OpenAi, InBody, Never),
    // DashScope's own dialect; with `x-dashscope-sse` it sends events.
    row("**/services/aigc/text-generation/generation", OpenAi, InBody, WhenAsked),
    row("**/services/embeddings/text-embedding/text-embedding", OpenAi, InBody, Never),
    // Vertex: models of other makers. The count of tokens of Anthropic's names its model in the body alone.
    row("**/publishers/anthropic/models/count-tokens:rawPredict", Anthropic, InBody, Never),
    row("**/publishers/anthropic/models/*:rawPredict", Anthropic, InPath, WhenAsked),
    row("**/publishers/anthropic/models/*:streamRawPredict", Anthropic, InPath, Always),
    row("**/publishers/*/models/*:rawPredict", Gemini, InPath, WhenAsked),
    row("**/publishers/*/models/*:streamRawPredict", Gemini, InPath, Always),
    // Gemini CLI with a Google login names the model in the body.
    row("**/v1internal:generateContent", Gemini, InBody, Never),
    row("**/v1internal:streamGenerateContent", Gemini, InBody, Always),
    row("**/v1internal:countTokens", Gemini, InBody, Never),
    // Gemini and Vertex.
    row("**/*:generateContent", Gemini, InPath, Never),
    row("**/*:streamGenerateContent", Gemini, InPath, Always),
    row("**/*:countTokens", Gemini, InPath, Never),
    row("**/*:embedContent", Gemini, InPath, Never),
    row("**/*:batchEmbedContents", Gemini, InPath, Never),
    // Bedrock.
    row("**/model/*/invoke", Dialect::Bedrock, InPath, Never),
    row("**/model/*/invoke-with-response-stream", Dialect::Bedrock, InPath, Always),
    row("**/model/*/converse", Dialect::Bedrock, InPath, Never),
    row("**/model/*/converse-stream", Dialect::Bedrock, InPath, Always),
    // Ollama.
    row("/api/chat", Ollama, InBody, UnlessRefused),
    row("/api/generate", Ollama, InBody, UnlessRefused),
    row("/api/embed", Ollama, InBody, Never),
    row("/api/embeddings", Ollama, InBody, Never),
    row("/ollama/api/chat", Ollama, InBody, UnlessRefused),
    row("/ollama/api/generate", Ollama, InBody, UnlessRefused),
    row("/ollama/api/embed", Ollama, InBody, Never),
];

/// Who answers at a host, for what no row knows (`/v1/models`): the end of the host's name, and how its clients expect errors.
const HOSTS: &[(&str, Dialect)] = &[
    ("anthropic.com", Anthropic),
    ("googleapis.com", Gemini),
    ("amazonaws.com", Dialect::Bedrock),
    ("openai.com", OpenAi),
    ("chatgpt.com", OpenAi),
    ("azure.com", OpenAi),
    ("aliyuncs.com", OpenAi),
    ("deepseek.com", OpenAi),
    ("github.ai", OpenAi),
    ("githubcopilot.com", OpenAi),
    ("groq.com", OpenAi),
    ("kimi.com", OpenAi),
    ("moonshot.ai", OpenAi),
    ("moonshot.cn", OpenAi),
    ("openrouter.ai", OpenAi),
    ("z.ai", OpenAi),
];

/// A known API, and what its path says.
#[derive(Debug)]
pub(super) struct Known<'p> {
    pub(super) api: &'static Api,
    /// The model, where the path names it.
    pub(super) model: Option<Cow<'p, str>>,
}

/// The API of a whole path, without its query.
pub(super) fn find(path: &str) -> Option<Known<'_>> {
    let last = decoded(path.rsplit('/').find(|segment| !segment.is_empty())?);
    TABLE.iter().filter(|api| api.last.strip_prefix('*').map_or(*last == *api.last, |verb| last.ends_with(verb))).find_map(
        |api| {
            let star = fits(api.path, path)?;
            Some(Known { api, model: star.filter(|_| api.model == InPath) })
        },
    )
}

/// Whether a whole path, without its query, is that of an inference.
pub(crate) fn is_inference(path: &str) -> bool {
    find(path).is_some()
}

/// Who answers at a host.
pub(super) fn at_home(host: &str) -> Option<Dialect> {
    let is = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    HOSTS.iter().find(|(name, _)| is(name)).map(|(_, dialect)| *dialect)
}

/// Compares from the end, where paths differ. `Some` when it fits, with what its last `*` stands for.
fn fits<'p>(pattern: &str, path: &'p str) -> Option<Option<Cow<'p, str>>> {
    let mut segments = path.rsplit('/').filter(|segment| !segment.is_empty()).map(decoded);
    let mut star = None;
    for wanted in pattern.rsplit('/').filter(|wanted| !wanted.is_empty()) {
        if wanted == "**" {
            return Some(star);
        }
        let segment = segments.next()?;
        match wanted.strip_prefix('*') {
            Some(verb) => {
                let length = segment.strip_suffix(verb).filter(|name| !name.is_empty())?.len();
                star = star.or(Some(match segment {
                    Cow::Borrowed(segment) => Cow::Borrowed(&segment[..length]),
                    Cow::Owned(segment) => Cow::Owned(segment[..length].to_owned()),
                }));
            }
            None if wanted == "{v}" && is_version(&segment) => {}
            None if *segment == *wanted => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(star)
}

/// Clients encode the colon before a verb and in a model's name, and the slash in a name, as they like.
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let text = [("%3A", ":"), ("%3a", ":"), ("%2F", "/"), ("%2f", "/"), ("%40", "@")];
    Cow::Owned(text.iter().fold(segment.to_owned(), |all, (code, sign)| all.replace(code, sign)))
}

fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v').filter(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    segment == "beta" || number.is_some_and(|n| n.len() <= 8 && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the table says of a path: dialect, where the model stands, streams, and the model that the path names.
    fn said(path: &str) -> Option<(Dialect, Model, Streams, Option<String>)> {
        let Known { api, model } = find(path)?;
        Some((api.dialect, api.model, api.streams, model.map(Cow::into_owned)))
    }

    #[test]
    fn every_api_of_the_design_is_known() {
        for (path, dialect, streams, model) in [
            ("/v1/messages", Anthropic, WhenAsked, None),
            ("//v1/messages/", Anthropic, WhenAsked, None),
            ("/team/anthropic/v1/messages", Anthropic, WhenAsked, None),
            ("/v1/messages/count_tokens", Anthropic, Never, None),
            ("/v1/chat/completions", OpenAi, WhenAsked, None),
            ("/chat/completions", OpenAi, WhenAsked, None),
            ("/beta/completions", OpenAi, WhenAsked, None),
            ("/v1/completions", OpenAi, WhenAsked, None),
            ("/v1/responses", OpenAi, WhenAsked, None),
            ("/responses", OpenAi, WhenAsked, None),
            ("/v1/embeddings", OpenAi, Never, None),
            ("/v1/moderations", OpenAi, Never, None),
            ("/v4/chat/completions", OpenAi, WhenAsked, None),
            ("/api/paas/v4/chat/completions", OpenAi, WhenAsked, None),
            ("/api/paas/v4/embeddings", OpenAi, Never, None),
            ("/openai/v1/responses", OpenAi, WhenAsked, None),
            ("/openai/responses", OpenAi, WhenAsked, None),
            ("/backend-api/codex/responses", OpenAi, WhenAsked, None),
            ("/backend-api/codex/responses/compact", OpenAi, Never, None),
            ("/openai/deployments/gpt-4o/chat/completions", OpenAi, WhenAsked, Some("gpt-4o")),
            ("/openai/deployments/e/embeddings", OpenAi, Never, Some("e")),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict",
                Anthropic,
                WhenAsked,
                Some("claude@1"),
            ),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude%401:streamRawPredict",
                Anthropic,
                Always,
                Some("claude@1"),
            ),
            ("/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", Anthropic, Never, None),
            ("/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict", Gemini, WhenAsked, Some("m")),
            ("/v1/projects/p/locations/l/publishers/google/models/g:generateContent", Gemini, Never, Some("g")),
            ("/v1/projects/p/locations/l/endpoints/openapi/chat/completions", OpenAi, WhenAsked, None),
            ("/model/anthropic.claude-3/invoke", Dialect::Bedrock, Never, Some("anthropic.claude-3")),
            ("/model/anthropic.claude%3A0/invoke-with-response-stream", Dialect::Bedrock, Always, Some("anthropic.claude:0")),
            ("/model/arn%3Aaws%3Abedrock%2Fx/converse", Dialect::Bedrock, Never, Some("arn:aws:bedrock/x")),
            ("/model/m/converse-stream", Dialect::Bedrock, Always, Some("m")),
            ("/v1beta/models/gemini-3-pro:generateContent", Gemini, Never, Some("gemini-3-pro")),
            ("/v1beta/models/gemini-3-pro%3AstreamGenerateContent", Gemini, Always, Some("gemini-3-pro")),
            ("/v1beta/models/g:countTokens", Gemini, Never, Some("g")),
            ("/v1beta/models/g:embedContent", Gemini, Never, Some("g")),
            ("/v1beta/models/g:batchEmbedContents", Gemini, Never, Some("g")),
            ("/v1internal:streamGenerateContent", Gemini, Always, None),
            ("/v1beta/openai/chat/completions", OpenAi, WhenAsked, None),
            ("/v1beta/openai/embeddings", OpenAi, Never, None),
            ("/inference/chat/completions", OpenAi, WhenAsked, None),
            ("/inference/embeddings", OpenAi, Never, None),
            ("/orgs/o/inference/chat/completions", OpenAi, WhenAsked, None),
            ("/api/v1/chat/completions", OpenAi, WhenAsked, None),
            ("/compatible-mode/v1/chat/completions", OpenAi, WhenAsked, None),
            ("/api/v1/services/aigc/text-generation/generation", OpenAi, WhenAsked, None),
            ("/coding/v1/messages", Anthropic, WhenAsked, None),
            ("/api/chat", Ollama, UnlessRefused, None),
            ("/api/generate", Ollama, UnlessRefused, None),
            ("/api/embed", Ollama, Never, None),
        ] {
            let place = if model.is_some() { InPath } else { InBody };
            assert_eq!(said(path), Some((dialect, place, streams, model.map(str::to_owned))), "{path}");
        }
    }

    #[test]
    fn what_may_have_an_effect_is_not_in_it() {
        for path in [
            "/",
            "",
            "/v1/oauth/token",
            "/v1/files",
            "/v1/messages/batches",
            "/v1/messages/batches/b/cancel",
            "/v1/threads/t/messages",
            "/v1/threads/t/runs",
            "/v1/responses/r/cancel",
            "/v1/conversations/c/items",
            "/v1/batches",
            "/v1/mcp/x",
            "/v1/code/sessions",
            "/backend-api/ps/mcp",
            "/surveys/s/responses",
            "/v1/fine_tuning/jobs",
            "/v1beta/models/g:batchGenerateContent",
            "/v1beta/models/:generateContent",
            "/model/m/async-invoke",
            "/model/a/b/invoke",
            "/api/pull",
            "/x/api/chat",
            "/openai/deployments/a/b/embeddings",
            "/version/completions",
        ] {
            assert_eq!(said(path), None, "{path}");
        }
    }

    #[test]
    fn a_host_tells_its_dialect_by_its_name_alone() {
        for (host, want) in [
            ("api.anthropic.com", Some(Anthropic)),
            ("chatgpt.com", Some(OpenAi)),
            ("me.openai.azure.com", Some(OpenAi)),
            ("generativelanguage.googleapis.com", Some(Gemini)),
            ("bedrock-runtime.us-east-1.amazonaws.com", Some(Dialect::Bedrock)),
            ("notchatgpt.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(at_home(host), want, "{host}");
        }
    }

    /// A row that an earlier one hides would never be found.
    #[test]
    fn each_row_is_the_first_that_fits_its_own_path() {
        for api in TABLE {
            let path = api.path.replace("**", "/p").replace("{v}", "v1").replace('*', "m");
            assert!(std::ptr::eq(find(&path).unwrap().api, api), "{}: {path}", api.path);
        }
    }
}
