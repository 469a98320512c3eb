//! What the system's settings say of proxy scripts, as each system prints them. Pure.

/// What the system's settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// The address of a script.
    pub(super) script: Option<String>,
    /// The network is asked for one (WPAD).
    pub(super) discovers: bool,
}

/// Where settings were read.
pub(super) type Read = Result<(Settings, String), String>;

/// Of `gsettings get`: both values in single quotes.
#[cfg_attr(not(all(unix, not(target_os = "macos"))), allow(dead_code, reason = "tested on every system"))]
pub(super) fn of_gnome(mode: &str, url: &str) -> Settings {
    let [mode, url] = [mode, url].map(|text| text.trim().trim_matches(['\'', '"']));
    let is_auto = mode == "auto";
    Settings { script: (is_auto && !url.is_empty()).then(|| url.to_owned()), discovers: is_auto && url.is_empty() }
}

/// Of `kioslaverc`, where the type 2 is a script and 3 asks the network for one. `None`: KDE says nothing.
#[cfg_attr(not(all(unix, not(target_os = "macos"))), allow(dead_code, reason = "tested on every system"))]
pub(super) fn of_kde(text: &str) -> Option<Settings> {
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
pub(super) fn of_scutil(text: &str) -> Settings {
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
}
