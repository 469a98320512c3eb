//! The check of proxy scripts (PAC): whether the system's settings name one, which neither Leeward nor most agents run. The script
//! is neither fetched nor run.

#[cfg(not(any(windows, target_os = "macos")))]
#[path = "pac/desktop.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "pac/macos.rs"]
mod platform;
#[cfg(windows)]
#[path = "pac/windows.rs"]
mod platform;

#[cfg(not(windows))]
use super::ask::{Unanswered, ask};
use super::{
    context::Context,
    finding::{Finding, Verdict},
    way::Way,
};
use serde_json::json;
use url::Url;

/// Variables that name a script, for the few programs that read them.
const VARIABLES: [&str; 2] = ["auto_proxy", "AUTO_PROXY"];

/// What the system's settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    /// The address of a script.
    script: Option<String>,
    /// The network is asked for one (WPAD).
    discovers: bool,
}

/// Where settings were read.
type Read = Result<(Settings, String), String>;

pub(super) async fn pac(context: &Context) -> Finding {
    let named = VARIABLES.iter().find_map(|name| Some((context.var(name)?, (*name).to_owned())));
    let read = match named {
        Some((script, from)) => Ok((Settings { script: Some(script), discovers: false }, from)),
        None => platform::read(context).await,
    };
    let (settings, from) = match read {
        Ok(read) => read,
        Err(why) => return Finding::not_known(why),
    };
    let (Some(prober), Some(url)) = (&context.prober, context.upstreams.get("default")) else {
        return Finding::not_known("the config is invalid, so it is not known what the upstreams are");
    };
    let proxy = prober.proxy(url).map(|proxy| proxy.shown());
    let is_needed = settings.script.is_some() && proxy.is_none();
    let way = Way { url: url.clone(), prober: prober.clone() };
    let reached = if is_needed { Some(way.connect().await.map(drop).map_err(|failure| failure.detail)) } else { None };
    judge(&settings, &from, proxy.as_deref(), &way.host(), reached)
}

fn judge(settings: &Settings, from: &str, proxy: Option<&str>, host: &str, reached: Option<Result<(), String>>) -> Finding {
    let shown = settings.script.as_deref().map(shown);
    let facts = json!({ "script": shown, "from": from, "discovers": settings.discovers, "leeward_uses": proxy });
    let Some(script) = shown else {
        return Finding::new(Verdict::Ok, format!("{from} names no proxy script."), facts);
    };
    let said = format!("{from} names a proxy script ({script}).");
    if let Some(proxy) = proxy {
        return Finding::new(Verdict::Ok, format!("{said} Leeward does not run it; it uses {proxy}."), facts);
    }
    let advice = format!(
        "ask who runs the network, or look into the script, which proxy is meant for {host}; then set it as `proxy.url`, such as http://HOST:PORT"
    );
    match reached {
        Some(Err(why)) => {
            Finding::new(Verdict::Broken, format!("{said} Leeward does not run it, and there is no direct way: {why}."), facts)
                .advise(advice)
        }
        Some(Ok(())) => Finding::new(
            Verdict::Warning,
            format!("{said} Leeward does not run it and connects directly, which works now."),
            facts,
        )
        .advise(format!("if the direct way fails at times, {advice}")),
        None => Finding { facts, ..Finding::not_known(format!("{said} Whether there is a direct way was not tried")) },
    }
}

/// Without a login and without a query, which may hold one.
fn shown(script: &str) -> String {
    match Url::parse(script.trim()) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            // A URL that can have no login has none to hide.
            url.set_username("").ok();
            url.set_password(None).ok();
            url.to_string()
        }
        Err(_) => "an address that is no URL".to_owned(),
    }
}

/// Of `gsettings get`: both values in single quotes.
#[cfg_attr(not(all(unix, not(target_os = "macos"))), allow(dead_code, reason = "tested on every system"))]
fn of_gnome(mode: &str, url: &str) -> Settings {
    let [mode, url] = [mode, url].map(|text| text.trim().trim_matches(['\'', '"']));
    let is_auto = mode == "auto";
    Settings { script: (is_auto && !url.is_empty()).then(|| url.to_owned()), discovers: is_auto && url.is_empty() }
}

/// Of `kioslaverc`, where the type 2 is a script and 3 asks the network for one. `None`: KDE says nothing.
#[cfg_attr(not(all(unix, not(target_os = "macos"))), allow(dead_code, reason = "tested on every system"))]
fn of_kde(text: &str) -> Option<Settings> {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != "[Proxy Settings]").skip(1);
    let (mut kind, mut script) = (None, None);
    for (key, value) in lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('=')) {
        match key.split('[').next().unwrap_or_default().trim() {
            "ProxyType" => kind = value.trim().parse::<u8>().ok(),
            "Proxy Config Script" => script = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let kind = kind?;
    Some(Settings { script: script.filter(|url| kind == 2 && !url.is_empty()), discovers: kind == 3 })
}

/// Of `scutil --proxy`: `Key : value` lines.
#[cfg_attr(not(target_os = "macos"), allow(dead_code, reason = "tested on every system"))]
fn of_scutil(text: &str) -> Settings {
    let value = |wanted: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once(" : "));
        pairs.find(|(key, _)| key.trim() == wanted).map(|(_, value)| value.trim().to_owned())
    };
    let is_on = |key: &str| value(key).as_deref() == Some("1");
    Settings {
        script: value("ProxyAutoConfigURLString").filter(|_| is_on("ProxyAutoConfigEnable")),
        discovers: is_on("ProxyAutoDiscoveryEnable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(url: &str) -> Settings {
        Settings { script: Some(url.into()), discovers: false }
    }

    #[test]
    fn settings_are_read_as_each_system_prints_them() {
        let discovers = Settings { script: None, discovers: true };
        for (mode, url, want) in [
            ("'none'\n", "''\n", Settings::default()),
            ("'manual'\n", "'http://left.over/x.pac'\n", Settings::default()),
            ("'auto'\n", "'http://corp/proxy.pac'\n", script("http://corp/proxy.pac")),
            ("'auto'\n", "''\n", discovers.clone()),
        ] {
            assert_eq!(of_gnome(mode, url), want, "{mode} {url}");
        }
        for (text, want) in [
            ("[General]\nx=1\n", None),
            ("[Proxy Settings]\nProxyType=0\nProxy Config Script=http://corp/x.pac\n", Some(Settings::default())),
            (
                "[Proxy Settings]\nProxy Config Script[$e]=http://corp/x.pac\nProxyType=2\n[Other]\nProxyType=0\n",
                Some(script("http://corp/x.pac")),
            ),
            ("[Proxy Settings]\nProxyType=3\n", Some(discovers)),
        ] {
            assert_eq!(of_kde(text), want, "{text}");
        }
        let mac = "<dictionary> {\n  ExceptionsList : <array> {\n    0 : *.local\n  }\n  ProxyAutoConfigEnable : 1\n  ProxyAutoConfigURLString : http://corp/proxy.pac\n  ProxyAutoDiscoveryEnable : 0\n}\n";
        assert_eq!(of_scutil(mac), script("http://corp/proxy.pac"));
        assert_eq!(of_scutil(&mac.replace("Enable : 1", "Enable : 0")), Settings::default());
    }

    #[test]
    fn a_script_is_judged_by_whether_there_is_another_way() {
        let corp = script("http://me:planted@corp/proxy.pac?key=planted");
        let judged =
            |settings: &Settings, proxy, reached| judge(settings, "GNOME's proxy settings", proxy, "api.anthropic.com", reached);
        for (finding, verdict, word) in [
            (judged(&Settings::default(), None, None), Verdict::Ok, "names no proxy script"),
            (judged(&corp, Some("http://gate:3128"), None), Verdict::Ok, "it uses http://gate:3128"),
            (judged(&corp, None, Some(Ok(()))), Verdict::Warning, "connects directly, which works now"),
            (judged(&corp, None, Some(Err("no route".into()))), Verdict::Broken, "no direct way: no route"),
            (judged(&script("nonsense"), None, Some(Ok(()))), Verdict::Warning, "an address that is no URL"),
        ] {
            assert!(finding.verdict == verdict && finding.measured.contains(word), "{finding:?}");
            assert_eq!(finding.advice.is_some(), verdict != Verdict::Ok, "{finding:?}");
            assert!(!format!("{finding:?}").contains("planted"), "{finding:?}");
        }
    }
}
