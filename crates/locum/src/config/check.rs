//! What must hold between the values of a configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;

use smoltcp::wire::{IpAddress, IpCidr};

use super::read::{Draft, DraftHeartbeat, DraftPeer, DraftService};
use super::section::{At, Place, Problems};

/// smoltcp is built with room for this many (`iface-max-addr-count-8`).
const ADDRESSES_MAX: usize = 8;
const PEERS_MAX: usize = 15;

/// Reports everything that does not fit together.
pub(super) fn check(draft: &Draft, problems: &Problems) {
    Addresses::default().claim_all(draft, problems);
    check_address_count(&draft.group.addresses, problems);
    if let Some(peers) = &draft.peers {
        check_peers(peers, draft, problems);
    }
    check_gateways(&draft.group.gateways, &draft.group.addresses, problems);
    check_heartbeat(&draft.heartbeat, draft.node.tap.as_deref(), problems);
    check_ports(&draft.services, problems);
}

/// Who has which address: no two may have the same.
#[derive(Default)]
struct Addresses(BTreeMap<IpAddr, &'static str>);

impl Addresses {
    fn claim_all(mut self, draft: &Draft, problems: &Problems) {
        let ip = |cidr: &At<IpCidr>| (IpAddr::from(cidr.value.address()), cidr.place.clone());
        for (address, place) in draft.group.addresses.iter().map(ip) {
            let claim = Claim { owner: "a service address", fix: "name each address once" };
            self.claim(address, &place, claim, problems);
        }
        let fix = "each node needs an address of its own, besides those they share";
        for (address, place) in draft.node.address.iter().map(ip) {
            self.claim(address, &place, Claim { owner: "the address of this node", fix }, problems);
        }
        for peer in draft.peers.iter().flatten() {
            if let Some(At { value, place }) = &peer.address {
                self.claim(*value, place, Claim { owner: "the address of a peer", fix }, problems);
            }
        }
        for At { value, place } in &draft.group.gateways {
            let claim = Claim { owner: "a gateway", fix: "a gateway is another machine, a router" };
            self.claim(*value, place, claim, problems);
        }
    }

    fn claim(&mut self, address: IpAddr, place: &Place, claim: Claim, problems: &Problems) {
        match self.0.get(&address) {
            Some(first) => {
                problems.report(place, format!("{address} is already {first}"), claim.fix);
            }
            None => {
                self.0.insert(address, claim.owner);
            }
        }
    }
}

/// Whose an address is, and what to do when it is taken.
struct Claim {
    owner: &'static str,
    fix: &'static str,
}

fn check_address_count(addresses: &[At<IpCidr>], problems: &Problems) {
    if let Some(extra) = addresses.get(ADDRESSES_MAX) {
        let what =
            format!("{} addresses are too many: a group has 1 to {ADDRESSES_MAX}", addresses.len());
        problems.report(&extra.place, what, "remove some, or split the group");
    }
}

fn check_peers(peers: &[DraftPeer], draft: &Draft, problems: &Problems) {
    if peers.is_empty() {
        let place = Place { key: "peer".to_owned(), span: None };
        let fix = "add a [[peer]] section with `id` and `address` for every other node";
        problems.report(&place, "is missing: a group has 2 to 16 nodes", fix);
    }
    if let Some(extra) = peers.get(PEERS_MAX) {
        let what = format!("{} peers are too many: a group has 2 to 16 nodes", peers.len());
        problems.report(&extra.place, what, "remove some, or make two groups");
    }
    let mut seen = BTreeMap::new();
    if let Some(own) = &draft.node.id {
        seen.insert(own.value, "this node");
    }
    for At { value: id, place } in peers.iter().filter_map(|peer| peer.id.as_ref()) {
        match seen.get(id) {
            Some(first) => {
                let what = format!("{id} is already the id of {first}");
                let fix = "give every node of the group its own id, the same in all files";
                problems.report(place, what, fix);
            }
            None => {
                seen.insert(*id, "another peer");
            }
        }
    }
    if let Some(own) = &draft.node.address {
        peers.iter().for_each(|peer| check_on_link(peer, own.value, problems));
    }
}

/// Beats do not cross routers: a peer is in the subnet of the node.
fn check_on_link(peer: &DraftPeer, own: IpCidr, problems: &Problems) {
    let Some(At { value: address, place }) = &peer.address else {
        return;
    };
    let address = IpAddress::from(*address);
    if address.version() != own.address().version() {
        let what = format!("{address} and the node's own {} are of two families", own.address());
        let fix = "beats use one family: IPv4 for all node addresses, or IPv6 for all";
        problems.report(place, what, fix);
    } else if !own.contains_addr(&address) {
        let what = format!("{address} is not in the node's own subnet, {own}");
        let fix =
            "beats do not cross routers: use addresses of one subnet, or correct the prefix length";
        problems.report(place, what, fix);
    } else if is_edge(own, address) {
        let what = format!("{address} is no machine: it is the first or last address of {own}");
        problems.report(place, what, "use the peer's own address");
    }
}

/// Whether `address` stands for the whole IPv4 subnet of `cidr`.
fn is_edge(cidr: IpCidr, address: IpAddress) -> bool {
    let (IpCidr::Ipv4(cidr), IpAddress::Ipv4(address)) = (cidr, address) else {
        return false;
    };
    let is_first = cidr.network().address() == address;
    cidr.prefix_len() < 31 && (is_first || cidr.broadcast() == Some(address))
}

fn check_gateways(gateways: &[At<IpAddr>], addresses: &[At<IpCidr>], problems: &Problems) {
    let mut seen = [false; 2];
    for At { value: gateway, place } in gateways {
        let family = &mut seen[usize::from(gateway.is_ipv6())];
        if std::mem::replace(family, true) {
            let fix = "keep one gateway for IPv4 and one for IPv6 at most";
            problems.report(place, format!("{gateway} is a second gateway of its family"), fix);
        }
        let gateway = IpAddress::from(*gateway);
        // Without a single good service address that one is the problem.
        let reachable = addresses.iter().any(|address| address.value.contains_addr(&gateway));
        if !reachable && !addresses.is_empty() {
            let what = format!("{gateway} is in the subnet of no service address");
            let fix =
                "use a router on the link of the service addresses, or correct their prefix length";
            problems.report(place, what, fix);
        }
    }
}

fn check_heartbeat(heartbeat: &DraftHeartbeat, tap: Option<&str>, problems: &Problems) {
    let (interval, dead_after) = (heartbeat.resolved_interval(), heartbeat.resolved_dead_after());
    if dead_after < interval * 2
        && let Some(written) = heartbeat.dead_after.as_ref().or(heartbeat.interval.as_ref())
    {
        let [is, interval, least] =
            [dead_after, interval, interval * 2].map(humantime::format_duration);
        let what = format!(
            "{is} is less than two intervals of {interval}: one lost beat would be a death"
        );
        let fix = format!("make `dead_after` at least \"{least}\", or shorten the interval");
        problems.report(&written.place, what, fix);
    }
    if let Some(At { value, place }) = &heartbeat.tap
        && Some(value.as_str()) == tap
    {
        let fix = "remove it: beats share the TAP of the node unless they have their own";
        problems.report(place, format!("{value:?} is the TAP of the node already"), fix);
    }
}

fn check_ports(services: &[DraftService], problems: &Problems) {
    let mut taken = BTreeMap::new();
    for service in services {
        let (Some(port), Some((config, transports))) = (&service.port, &service.service) else {
            continue;
        };
        let wanted = [(transports.tcp, "TCP"), (transports.udp, "UDP")];
        let wanted = wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name);
        let clash = wanted.filter_map(|transport| {
            let first = taken.insert((port.value, transport), config.kind())?;
            Some((transport, first))
        });
        let clashes: Vec<(&str, &str)> = clash.collect();
        if let Some((transport, first)) = clashes.first() {
            let what = format!("{transport} port {} is already taken by \"{first}\"", port.value);
            problems.report(&port.place, what, "give every service its own port");
        }
    }
}
