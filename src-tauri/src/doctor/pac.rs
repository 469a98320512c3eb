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
mod settings;

use super::{
    context::Context,
    finding::{Finding, Verdict},
    way::Way,
};
use serde_json::json;
use settings::Settings;
use url::Url;

/// Variables that name a script, for the few programs that read them.
const VARIABLES: [&str; 2] = ["auto_proxy", "AUTO_PROXY"];

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

#[cfg(test)]
mod tests {
    use super::*;

    fn script(url: &str) -> Settings {
        Settings { script: Some(url.into()), discovers: false }
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
