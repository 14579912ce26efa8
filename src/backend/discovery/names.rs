//! What backends are called that DNS finds. A name says where a backend stands in the hash order, so it must not hang on
//! addresses or on who else is there, wherever there is something better.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The part of `name` below `zone`, if it is below it.
pub fn below(name: &str, zone: &str) -> Option<String> {
    let (name, zone) = (plain(name), plain(zone));
    let rest = name.strip_suffix(zone.as_str())?.strip_suffix('.')?;
    (!zone.is_empty() && !rest.is_empty()).then(|| worded(rest))
}

/// What a backend is called whose address has these names, and which was found by these `zones`. Without a name below one of
/// them its address has to do.
pub fn of_address<'a>(names: impl IntoIterator<Item = &'a str> + Clone, zones: &[String]) -> Option<String> {
    let mut all: Vec<_> =
        zones.iter().flat_map(|zone| names.clone().into_iter().filter_map(|n| below(n, zone))).collect();
    all.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    all.into_iter().next()
}

/// The address as a name.
pub fn address_itself(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let groups: Vec<_> = address.segments().iter().map(|group| format!("{group:x}")).collect();
            groups.join("-")
        }
    }
}

/// The service's own domain: what is left of an SRV record's name without `_service._protocol`.
pub fn domain_of(service: &str) -> String {
    let service = plain(service);
    let labels = service.split('.').skip_while(|label| label.starts_with('_'));
    labels.collect::<Vec<_>>().join(".")
}

/// Names the targets of SRV records. What it had to add once to tell two apart it goes on adding.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    whole: bool,
    ports: bool,
}

impl Targets {
    /// The names of `targets`, in their order.
    pub fn name(&mut self, targets: &[(String, u16)], domain: &str) -> Vec<String> {
        let hosts: BTreeSet<String> = targets.iter().map(|(host, _)| plain(host)).collect();
        let short = |host: &str| below(host, domain).unwrap_or_else(|| first_label(host));
        let mut shorts: BTreeMap<String, usize> = BTreeMap::new();
        hosts.iter().for_each(|host| *shorts.entry(short(host)).or_default() += 1);
        self.whole |= shorts.values().any(|count| *count > 1);
        let pairs: BTreeSet<_> = targets.iter().map(|(host, port)| (plain(host), *port)).collect();
        self.ports |= pairs.len() > hosts.len();
        let name = |(host, port): &(String, u16)| {
            let host = plain(host);
            let name = if self.whole { worded(&host) } else { short(&host) };
            if self.ports { format!("{name}-{port}") } else { name }
        };
        targets.iter().map(name).collect()
    }
}

fn first_label(host: &str) -> String {
    worded(host.split('.').next().unwrap_or(host))
}

/// Lower case, without the dot of the root.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// What a name of a backend may hold.
fn worded(text: &str) -> String {
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.chars().map(|c| if right(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_called_as_it_is_below_its_service() {
        let zones = ["copilot-cli.default.svc.cluster.local.".to_owned()];
        let of = |names: &[&str]| of_address(names.iter().copied(), &zones);
        assert_eq!(of(&["copilot-cli-0.copilot-cli.default.svc.cluster.local."]).as_deref(), Some("copilot-cli-0"));
        assert_eq!(of(&["10-1-2-3.Copilot-CLI.default.svc.cluster.local"]).as_deref(), Some("10-1-2-3"));
        assert_eq!(of(&["copilot-cli.default.svc.cluster.local."]), None);
        assert_eq!(of(&["x.other.default.svc.cluster.local.", "node-7.example.org."]), None);
        assert_eq!(of(&["xcopilot-cli.default.svc.cluster.local."]), None);
        let several = [
            "node-7.example.org.",
            "b.copilot-cli.default.svc.cluster.local.",
            "a.copilot-cli.default.svc.cluster.local.",
        ];
        assert_eq!(of(&several).as_deref(), Some("a"));
        assert_eq!(of_address(["a.b."], &[".".to_owned()]), None);
    }

    #[test]
    fn addresses_are_names_too() {
        assert_eq!(address_itself([10, 0, 0, 1].into()), "10.0.0.1");
        assert_eq!(address_itself("fd00::a:1".parse().unwrap()), "fd00-0-0-0-0-0-a-1");
    }

    #[test]
    fn targets_are_called_by_as_little_as_tells_them_apart() {
        let domain = domain_of("_copilot._tcp.copilot-cli.default.svc.cluster.local.");
        assert_eq!(domain, "copilot-cli.default.svc.cluster.local");
        let name = |targets: &mut Targets, all: &[(&str, u16)]| {
            let all: Vec<_> = all.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
            targets.name(&all, &domain)
        };
        let mut targets = Targets::default();
        let pods =
            [("cli-0.copilot-cli.default.svc.cluster.local.", 1), ("cli-1.copilot-cli.default.svc.cluster.local.", 1)];
        assert_eq!(name(&mut targets, &pods), ["cli-0", "cli-1"]);
        assert_eq!(name(&mut targets, &pods[1..]), ["cli-1"]);
        let mut targets = Targets::default();
        assert_eq!(name(&mut targets, &[("a.x.org.", 1), ("b.y.org.", 2)]), ["a", "b"]);
        assert_eq!(name(&mut targets, &[("a.x.org.", 1), ("a.y.org.", 1)]), ["a.x.org", "a.y.org"]);
        assert_eq!(name(&mut targets, &[("a.x.org.", 1)]), ["a.x.org"]);
        let mut targets = Targets::default();
        assert_eq!(name(&mut targets, &[("a.x.org.", 1), ("a.x.org.", 2)]), ["a-1", "a-2"]);
        assert_eq!(name(&mut targets, &[("a.x.org.", 2)]), ["a-2"]);
        assert_eq!(name(&mut Targets::default(), &[("a.x.org.", 1), ("a.x.org.", 1)]), ["a", "a"]);
    }
}
