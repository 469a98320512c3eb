//! Kimi CLI: its endpoint stands in its config file, and `KIMI_BASE_URL` outranks that, so the file is read first.

use super::{bases::Stated, draft::Draft};

/// The base URL of the provider that Kimi uses, and where it stands; empty leaves Kimi's default.
pub(super) fn stated(draft: &mut Draft<'_>) -> Stated {
    base_url(draft).map(|found| ("KIMI_BASE_URL", found)).into_iter().collect()
}

fn base_url(draft: &mut Draft<'_>) -> Option<(String, String)> {
    let path = draft.context.path("~/.kimi/config.toml")?;
    let text = draft.context.text(&path, &mut draft.warnings)?;
    let Ok(config) = toml::from_str::<toml::Table>(&text) else {
        draft.warnings.push(format!("{} is not valid TOML, so it is not known which endpoint it names", path.display()));
        return None;
    };
    let providers = config.get("providers")?.as_table()?;
    let model = config.get("default_model").and_then(toml::Value::as_str);
    let of_model = model.and_then(|name| config.get("models")?.get(name)?.get("provider")?.as_str());
    let kind = |p: &toml::Value| p.get("type").and_then(toml::Value::as_str).map(str::to_owned);
    if let Some((name, provider)) = of_model.and_then(|name| Some((name, providers.get(name)?)))
        && kind(provider).as_deref() != Some("kimi")
    {
        let why = format!("Kimi's provider `{name}` takes its endpoint from {} alone", path.display());
        draft.past_base_url(&why, "its requests", "");
    }
    let chosen = of_model.and_then(|name| providers.get_key_value(name));
    let (name, provider) = chosen
        .filter(|(_, p)| kind(p).as_deref() == Some("kimi"))
        .or_else(|| providers.iter().find(|(_, p)| kind(p).as_deref() == Some("kimi")))?;
    let url = provider.get("base_url")?.as_str()?;
    Some((format!("{}: providers.{name}.base_url", path.display()), url.to_owned()))
}
