//! The checks of what only Windows has: ports that nobody may listen on, layers in the socket stack, endpoint protection.
//! What Windows prints is read by its numbers and file names, because its words are in the user's language.

use super::{
    ask::{Unanswered, ask},
    context::{Context, Serving},
    finding::{Finding, Verdict},
    known::known,
};
use serde_json::json;

/// The providers that Windows itself brings.
const OF_WINDOWS: [&str; 9] = [
    "mswsock.dll",
    "napinsp.dll",
    "pnrpnsp.dll",
    "nlaapi.dll",
    "nlansp_c.dll",
    "winrnr.dll",
    "wshbth.dll",
    "wshhyperv.dll",
    "dnsapi.dll",
];
const PORTS: &[&str] = &["interface", "ipv4", "show", "excludedportrange", "protocol=tcp"];
const CATALOG: &[&str] = &["winsock", "show", "catalog"];

pub(super) async fn port_ranges(context: &Context) -> Finding {
    if !cfg!(windows) {
        return Finding::not_run("only on Windows");
    }
    let Some(port) = context.config.as_ref().map(|config| config.listen.port()) else {
        return Finding::not_known("there is no config that names a port");
    };
    match ask("netsh", PORTS).await {
        Ok(text) => judge_ports(&ranges(&text), port, matches!(context.serving, Serving::Ours { .. })),
        Err(why) => unanswered(why),
    }
}

pub(super) async fn layers() -> Finding {
    if !cfg!(windows) {
        return Finding::not_run("only on Windows");
    }
    let protection = tokio::task::spawn_blocking(|| protection(platform::has_service)).await.unwrap_or_default();
    match ask("netsh", CATALOG).await {
        Ok(text) => judge_layers(providers(&text), protection),
        Err(why) => unanswered(why),
    }
}

fn unanswered(why: Unanswered) -> Finding {
    Finding::not_known(match why {
        Unanswered::Missing => "`netsh` is not there".to_owned(),
        Unanswered::Failed(why) => why,
    })
}

/// The rows of two ports each; a star marks those that an administrator has made.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, last) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (first <= last && matches!(words.next(), None | Some("*"))).then_some((first, last))
    };
    text.lines().filter_map(row).collect()
}

fn judge_ports(ranges: &[(u16, u16)], port: u16, is_served: bool) -> Finding {
    let hit = ranges.iter().find(|(first, last)| (*first..=*last).contains(&port));
    let facts = json!({ "port": port, "ranges": ranges.len(), "excluded_by": hit.map(|(first, last)| json!([first, last])) });
    let Some((first, last)) = hit else {
        return Finding::new(
            Verdict::Ok,
            format!("Port {port} is in none of the {} ranges that Windows has excluded.", ranges.len()),
            facts,
        );
    };
    let said = format!("Windows has excluded the ports {first} to {last}, and Leeward's {port} is one of them.");
    let advice = "set another port as `listen`, or reserve this one for good, as an administrator and after a restart of Windows: \
                  `netsh int ipv4 add excludedportrange protocol=tcp startport=PORT numberofports=1`";
    if is_served {
        return Finding::new(Verdict::Warning, format!("{said} It is served now; the next start may not get it."), facts)
            .advise(advice);
    }
    Finding::new(Verdict::Broken, format!("{said} Nobody can listen on it."), facts).advise(advice)
}

/// The files of the providers that are not Windows' own, each once.
fn providers(catalog: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in catalog.lines() {
        let Some((_, value)) = line.split_once(':') else { continue };
        let file = value.trim().rsplit(['\\', '/']).next().unwrap_or_default().to_ascii_lowercase();
        if file.ends_with(".dll") && !OF_WINDOWS.contains(&file.as_str()) && !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// A layer alone does not show that it breaks connections: the burst does. So it is never broken.
fn judge_layers(providers: Vec<String>, protection: Vec<String>) -> Finding {
    let facts = json!({ "providers": providers, "endpoint_protection": protection });
    let guarded = if protection.is_empty() {
        String::new()
    } else {
        format!(" Endpoint protection that looks at connections: {}.", protection.join(", "))
    };
    if providers.is_empty() {
        return Finding::new(Verdict::Ok, format!("Only Windows' own socket providers are installed.{guarded}"), facts);
    }
    let said = format!("Socket providers that Windows did not bring: {}.{guarded}", providers.join(", "));
    Finding::new(Verdict::Warning, said, facts).advise(
        "if connections break at random, remove the program that brought them (often a VPN or Proxifier), or have it leave agents out",
    )
}

/// The products of the table that have a service here.
fn protection(has_service: impl Fn(&str) -> bool) -> Vec<String> {
    let known = known().map(|known| known.protection).unwrap_or_default();
    known.into_iter().filter(|one| one.services.iter().any(|name| has_service(name))).map(|one| one.name).collect()
}

#[cfg(windows)]
mod platform {
    use windows_registry::LOCAL_MACHINE;

    pub(super) fn has_service(name: &str) -> bool {
        LOCAL_MACHINE.open(format!(r"SYSTEM\CurrentControlSet\Services\{name}")).is_ok()
    }
}

#[cfg(not(windows))]
mod platform {
    pub(super) fn has_service(_name: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Windows prints it in three languages.
    const ENGLISH: &str = "\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port      \r\n----------    --------      \r\n        80          80      \r\n      5357        5357      \r\n      8684        8783      \r\n      8784        8883      \r\n     50000       50059     *\r\n\r\n* - Administered port exclusions.\r\n\r\n";
    const SPANISH: &str =
        "\nPuerto de inicio    Puerto final\n----------          --------\n      1025        1124\n     24266       24365\n";
    const CHINESE: &str = "\n协议 tcp 端口排除范围\n\n开始端口    结束端口\n----------    --------\n      8780        8880\n     50000       50059     *\n\n* - 管理的端口排除。\n";

    #[test]
    fn excluded_ports_are_read_in_any_language_and_judged() {
        for (text, port, is_served, verdict, word) in [
            (ENGLISH, 8787, false, Verdict::Broken, "8784 to 8883"),
            (ENGLISH, 8787, true, Verdict::Warning, "the next start"),
            (ENGLISH, 8900, false, Verdict::Ok, "none of the 5"),
            (SPANISH, 8787, false, Verdict::Ok, "none of the 2"),
            (SPANISH, 1124, false, Verdict::Broken, "1025 to 1124"),
            (CHINESE, 8787, false, Verdict::Broken, "8780 to 8880"),
            ("", 8787, false, Verdict::Ok, "none of the 0"),
        ] {
            let finding = judge_ports(&ranges(text), port, is_served);
            assert!(finding.verdict == verdict && finding.measured.contains(word), "{port}: {finding:?}");
            assert_eq!(finding.advice.is_some(), verdict != Verdict::Ok);
        }
    }

    const PLAIN: &str = "\nWinsock Catalog Provider Entry\n------------------------------------------------------\nEntry Type:                         Base Service Provider\nDescription:                        MSAFD Tcpip [TCP/IP]\nProvider ID:                        {E70F1AA0-AB8B-11CF-8CA3-00805F48A192}\nProvider Path:                      %SystemRoot%\\system32\\mswsock.dll\nCatalog Entry ID:                   1001\nVersion:                            2\nProtocol Chain Length:              1\n\nName Space Provider Entry\n------------------------------------------------------\nDescription:                        PNRP Name Space Provider\nProvider Path:                      %SystemRoot%\\system32\\pnrpnsp.dll\n";
    const LAYERED: &str = "\nWinsock Catalog Provider Entry\n------------------------------------------------------\nEntry Type:                         Layered Chain Entry\nDescription:                        PROXIFIER over [MSAFD Tcpip [TCP/IP]]\nProvider ID:                        {1A2B3C4D-0000-0000-0000-000000000000}\nProvider Path:                      C:\\Program Files (x86)\\Proxifier\\PrxerDrv.dll\nProtocol Chain Length:              2\n\nEintragstyp:                        Anbieter\nAnbieterpfad:                       C:\\Windows\\system32\\PRXERDRV.DLL\nAnbieterpfad:                       %SystemRoot%\\system32\\mswsock.dll\n";

    #[test]
    fn socket_layers_and_endpoint_protection_are_found() {
        let none = |_: &str| false;
        let crowdstrike = |name: &str| name == "CSAgent";
        for (text, services, verdict, words) in [
            (PLAIN, &none as &dyn Fn(&str) -> bool, Verdict::Ok, &["Only Windows' own"][..]),
            (PLAIN, &crowdstrike, Verdict::Ok, &["Only Windows' own", "CrowdStrike"]),
            (LAYERED, &none, Verdict::Warning, &["did not bring: prxerdrv.dll."]),
            (LAYERED, &crowdstrike, Verdict::Warning, &["prxerdrv.dll", "CrowdStrike"]),
        ] {
            let finding = judge_layers(providers(text), protection(services));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(words.iter().all(|word| finding.measured.contains(word)), "{finding:?}");
        }
    }
}
