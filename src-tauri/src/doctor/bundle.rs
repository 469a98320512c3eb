//! What is shared with a bug report: a zip of a few files that are named here and nothing else, with every secret taken out.
//!
//! Makes it in memory; whoever asked writes it. Sends nothing anywhere.

use super::report::Report;
use crate::{
    config::{self, Config, ProxyChoice},
    files, instance,
    logging::{Redactor, tail},
};
use serde_json::{Value, json};
use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Lines of the log.
const LOG_LINES: usize = 2_000;
/// Shorter ones would be found in ordinary words.
const LEAST_SECRET: usize = 6;
/// Variables that hold credentials of agents, gateways and this program.
const SECRET_VARIABLES: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE",
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GENERATIVE_AI_API_KEY",
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "DEEPSEEK_API_KEY",
    "KIMI_API_KEY",
    "MOONSHOT_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "LEEWARD_CLIENT_TOKEN",
];
/// Variables that may hold a URL with a password.
const URL_VARIABLES: &[&str] =
    &["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "LEEWARD_PROXY_URL"];

/// One file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the zip.
    pub name: &'static str,
    /// What is in it.
    pub what: &'static str,
    /// Its text, without secrets.
    pub text: String,
}

/// What is about to be written.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The files, in order.
    pub entries: Vec<Entry>,
    /// What is left out, and why.
    pub left_out: Vec<String>,
}

/// To ask for what goes into a bundle.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What the running Leeward says of itself; `None` where none is running that answers.
pub async fn status(config: &Config) -> Option<Value> {
    if !instance::serves(&config.paths) {
        return None;
    }
    let client = instance::running(config).await.ok()??;
    client.get("/_leeward/v1/status", ANSWER_WITHIN).await.ok()
}

/// Takes secrets out of what is shared.
struct Cleaner {
    redactor: Redactor,
    /// Known secrets, the longest first: one may be a part of another.
    secrets: Vec<String>,
    home: Option<String>,
}

impl Cleaner {
    fn new(
        config: Option<&Config>,
        file: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
    ) -> Result<Self, String> {
        let redactor = Redactor::new().map_err(|e| format!("secrets could not be taken out: {e}"))?;
        let mut secrets: Vec<String> = SECRET_VARIABLES.iter().filter_map(|name| env(name)).collect();
        for url in URL_VARIABLES.iter().filter_map(|name| url::Url::parse(&env(name)?).ok()) {
            secrets.extend([url.username().to_owned(), url.password().unwrap_or_default().to_owned()]);
        }
        if let Some(config) = config {
            secrets.extend(config.client_token.iter().map(|token| token.reveal().to_owned()));
            secrets.extend(instance::read_token(&config.paths).ok().map(|token| token.reveal().to_owned()));
            let named = match &config.proxy.url {
                ProxyChoice::Named(proxy) => Some(proxy),
                ProxyChoice::Auto | ProxyChoice::None => None,
            };
            for proxy in named.into_iter().chain(config.proxy.inherited.iter().flatten()) {
                if let Some((user, password)) = &proxy.login {
                    secrets.extend([user.clone(), password.reveal().to_owned()]);
                }
            }
        }
        // Complaints about a config may quote it, and of an invalid one nobody knows what is secret.
        if let (None, Some(file)) = (config, file) {
            secrets.extend(quoted(&files::read_to_string(file).unwrap_or_default()));
        }
        // A secret of several lines is found line by line.
        let mut secrets: Vec<String> = secrets.iter().flat_map(|s| s.lines()).map(|s| s.trim().to_owned()).collect();
        secrets.retain(|secret| secret.len() >= LEAST_SECRET);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let home = home.map(|home| home.display().to_string()).filter(|home| home.len() > 1);
        Ok(Self { redactor, secrets, home: home.map(|home| home.trim_end_matches(['/', '\\']).to_owned()) })
    }

    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            // JSON writes some characters in another way.
            let escaped = Value::from(secret.as_str()).to_string();
            text = text.replace(escaped.trim_matches('"'), "[redacted]").replace(secret.as_str(), "[redacted]");
        }
        if let Some(home) = &self.home {
            text = text.replace(home.as_str(), "~");
        }
        text.lines().map(|line| self.redactor.redact(line).into_owned() + "\n").collect()
    }
}

/// The texts between quotes on lines that may hold a secret.
fn quoted(text: &str) -> Vec<String> {
    const WORDS: [&str; 6] = ["token", "secret", "password", "proxy", "url", "key"];
    let lines = text.lines().filter(|line| WORDS.iter().any(|word| line.to_ascii_lowercase().contains(word)));
    lines.flat_map(|line| line.split(['"', '\'']).skip(1).step_by(2).map(str::to_owned)).collect()
}

impl Bundle {
    /// Puts it together. `file` is the config file, `status` what the running Leeward says of itself, where one is running.
    ///
    /// # Errors
    /// A sentence, when secrets could not be taken out.
    pub fn new(
        report: &Report,
        config: Option<&Config>,
        file: Option<&Path>,
        status: Option<&Value>,
        env: &dyn Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
    ) -> Result<Self, String> {
        let cleaner = Cleaner::new(config, file, env, home)?;
        let mut entries = Vec::new();
        let mut left_out = vec![
            "the control token, the history's database and every file of an agent: they are nobody's business".to_owned(),
            "the bodies and headers of requests: Leeward keeps none".to_owned(),
        ];
        let pretty = |value: &Value| format!("{value:#}");
        let report_json = serde_json::to_value(report).map_err(|e| format!("the report cannot be written: {e}"))?;
        let mut add = |name, what, text: &str| entries.push(Entry { name, what, text: cleaner.clean(text) });
        add("doctor.json", "what was checked, as JSON", &pretty(&report_json));
        add("doctor.md", "the same, to be read", &report.markdown());
        let versions = json!({ "leeward": report.version, "system": report.system, "processor": report.processor,
            "running": status.and_then(|s| s.get("version")) });
        add("versions.json", "versions of Leeward and the system", &pretty(&versions));
        match status {
            Some(status) => {
                add("status.json", "what the running Leeward says of itself", &pretty(status));
                let conditions = status.get("conditions").cloned().unwrap_or_default();
                add("conditions.json", "what it says is wrong", &pretty(&conditions));
            }
            None => left_out.push("status and conditions: no Leeward is running that could be asked".into()),
        }
        match config {
            Some(config) => {
                add("config.toml", "the config in force, without tokens and logins", &config::written(config).to_string());
                match tail(&config.paths.log_file(), LOG_LINES, None) {
                    Ok(tail) if tail.lines.is_empty() => left_out.push("the log: there is none".into()),
                    Ok(tail) => {
                        let lines: Vec<String> = tail.lines.iter().map(log_line).collect();
                        add("leeward.log", "the last lines of the log", &lines.join("\n"));
                    }
                    Err(why) => left_out.push(format!("the log: {}", cleaner.clean(&why).trim_end())),
                }
            }
            None => left_out.push("config and log: the config is invalid, so its secrets cannot be told from the rest".into()),
        }
        Ok(Self { entries, left_out })
    }

    /// What is in it and what is not, to be read before it is written or shared.
    pub fn contents(&self) -> String {
        let mut text: String =
            self.entries.iter().map(|e| format!("{:<16} {:>8} bytes  {}\n", e.name, e.text.len(), e.what)).collect();
        text.extend(self.left_out.iter().map(|what| format!("left out: {what}\n")));
        text
    }

    /// The bytes of the zip; the list of its contents is its first file.
    ///
    /// # Errors
    /// A sentence, when it cannot be packed.
    pub fn zip(&self) -> Result<Vec<u8>, String> {
        let packed = |e: &dyn std::fmt::Display| format!("the bundle could not be packed: {e}");
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).unix_permissions(0o600);
        let contents = self.contents();
        let files =
            std::iter::once(("contents.txt", contents.as_str())).chain(self.entries.iter().map(|e| (e.name, e.text.as_str())));
        for (name, text) in files {
            writer.start_file(name, options).map_err(|e| packed(&e))?;
            writer.write_all(text.as_bytes()).map_err(|e| packed(&e))?;
        }
        Ok(writer.finish().map_err(|e| packed(&e))?.into_inner())
    }
}

fn log_line(line: &crate::logging::Line) -> String {
    match (&line.at, line.level, &line.target) {
        (Some(at), Some(level), Some(target)) => format!("{at} {level} {target}: {}", line.text),
        _ => line.text.clone(),
    }
}
