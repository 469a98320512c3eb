//! Hosts that Claude Code reaches over plain http. With a proxy set it would hand it such requests whole, which a tunnel is not
//! for, so they go past it: MCP servers of its own network, gateways, collectors. Reads its settings, writes none.

use super::{context::AgentContext, options::option_values};
use serde_json::Value;
use std::{ffi::OsString, path::PathBuf};

/// Variables whose value is a URL that it asks.
const URLS: [&str; 8] = [
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// The hosts, each once. `kept`: hosts that must not be among them, as whoever writes a project's file could name them.
pub(super) fn hosts(
    context: &AgentContext<'_>,
    args: &[OsString],
    effective: &dyn Fn(&str) -> Option<String>,
    managed: &[PathBuf],
    kept: &[String],
) -> Vec<String> {
    let mut urls: Vec<String> = URLS.iter().filter_map(|name| effective(name)).collect();
    let read = |path: PathBuf| parse(&context.text(&path, &mut Vec::new())?);
    let user = context.var("CLAUDE_CONFIG_DIR").map(|folder| context.cwd.join(folder)).or_else(|| context.home.clone());
    if let Some(config) = user.and_then(|folder| read(folder.join(".claude.json"))) {
        collect(&config, &mut urls);
        let cwd = context.cwd.to_string_lossy();
        if let Some(project) = config.get("projects").and_then(|projects| projects.get(&*cwd)) {
            collect(project, &mut urls);
        }
    }
    let given = option_values(args, "--mcp-config").map(|text| parse(text).or_else(|| read(context.cwd.join(text))));
    let of_project = context.cwd.ancestors().map(|folder| read(folder.join(".mcp.json")));
    let of_company = managed.iter().map(|folder| read(folder.join("managed-mcp.json")));
    for config in given.chain(of_project).chain(of_company).flatten() {
        collect(&config, &mut urls);
    }
    let mut hosts: Vec<String> = urls.iter().filter_map(|url| plain_host(url)).collect();
    hosts.retain(|host| !kept.iter().any(|kept| kept == host || kept.ends_with(&format!(".{host}"))));
    hosts.sort();
    hosts.dedup();
    hosts
}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok().filter(Value::is_object)
}

fn collect(config: &Value, urls: &mut Vec<String>) {
    let servers = config.get("mcpServers").and_then(Value::as_object).into_iter().flatten();
    urls.extend(servers.filter_map(|(_, server)| server.get("url")?.as_str().map(str::to_owned)));
}

/// The host of an http URL that is not this machine.
fn plain_host(url: &str) -> Option<String> {
    let url = url::Url::parse(url.trim()).ok().filter(|url| url.scheme() == "http")?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    (is_plain && !is_local).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::World;
    use crate::config::Mode;

    #[test]
    fn servers_without_tls_are_reached_past_the_tunnel() {
        const MCP: &str = r#"{"mcpServers":{"a":{"type":"http","url":"http://mcp.corp:8080/x"},"b":{"url":"https://tls.corp"},
                              "c":{"command":"x"},"d":{"url":"http://127.0.0.1:1/"},"e":{"url":"http://anthropic.com"},"f":{"url":"http://*/"}}}"#;
        let project = format!(r#"{{"projects":{{"/work":{MCP}}}}}"#);
        let other = format!(r#"{{"projects":{{"/elsewhere":{MCP}}}}}"#);
        let local = "localhost,127.0.0.1,::1";
        let found = format!("{local},mcp.corp");
        for (vars, file, text, args, want) in [
            (&[][..], "/x", "", &[][..], local),
            (&[], "/home/me/.claude.json", MCP, &[], &found),
            (&[], "/home/me/.claude.json", &project, &[], &found),
            (&[], "/home/me/.claude.json", &other, &[], local),
            (&[("CLAUDE_CONFIG_DIR", "/c")], "/c/.claude.json", MCP, &[], &found),
            (&[], "/work/.mcp.json", MCP, &[], &found),
            (&[], "/.mcp.json", MCP, &[], &found),
            (&[], "/work/m.json", MCP, &["--mcp-config", "none.json", "m.json", "-p"], &found),
            (&[], "/x", "", &["--mcp-config", MCP], &found),
            (&[], "/x", "", &["-p", MCP], local),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://mcp.corp:4318")], "/x", "", &[], &found),
            (&[("NO_PROXY", "mcp.corp")], "/work/.mcp.json", MCP, &[], "mcp.corp,localhost,127.0.0.1,::1"),
        ] {
            for mode in [Mode::Auto, Mode::Tunnel] {
                let plan = World { mode, ..World::new(vars, &[(file, text)]) }.plan("claude", args);
                assert_eq!(plan.set["NO_PROXY"], want, "{mode:?} {vars:?} {file} {args:?}");
            }
            let plan = World::new(vars, &[(file, text)]).plan("claude", args);
            assert!(!plan.set.contains_key("NO_PROXY"), "without a proxy there is nothing to go past");
        }
        let gateway = World { mode: Mode::Tunnel, ..World::new(&[("ANTHROPIC_BASE_URL", "http://gw.corp/a")], &[]) };
        assert_eq!(gateway.plan("claude", &[]).set["NO_PROXY"], format!("{local},gw.corp"));
    }
}
