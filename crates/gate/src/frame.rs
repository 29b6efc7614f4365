//! What a frame is, as far as the gate needs to know: a bounds-checked look at its headers.
//!
//! [`View::parse`] never fails and never panics: what cannot be read is [`Body::Malformed`].
//! Payloads are not looked at, but for neighbour discovery, which is short and whose checksum
//! counts (RFC 4861 §7.1).

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv6Packet, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv6Address, Ipv6Packet,
    TcpPacket, UdpPacket,
};

/// Tag protocol identifiers: 802.1Q, 802.1ad (QinQ), and what was used before 802.1ad.
const TPIDS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const TAG_LEN: usize = 4;
/// QinQ has two; nobody has a use for more.
const TAGS_MAX: u8 = 2;
const ADDRESSES_LEN: usize = 12;
/// Where an IPv6 header says what is behind it, and where ICMPv6 says what it is.
const IPV6_NEXT_HEADER: usize = 20;
const ICMPV6_TYPE: usize = 54;
/// RFC 8200 §4.1 lists six extension headers that may come before the payload.
const EXTENSIONS_MAX: usize = 6;
/// The options of a solicitation or an advertisement follow the target (RFC 4861 §4.3, §4.4).
const NDP_OPTIONS: usize = 24;
const NEIGHBOR_SOLICIT: u8 = 135;
const NEIGHBOR_ADVERT: u8 = 136;
/// Where the flags of an advertisement are, and the solicited flag (RFC 4861 §4.4).
const NDP_FLAGS: usize = 4;
const FLAG_SOLICITED: u8 = 0x40;
/// Options have lengths in units of 8 bytes, so this many fill the largest sensible frame.
const NDP_OPTIONS_MAX: usize = 16;
const OPTION_SOURCE_LINK_LAYER: u8 = 1;
const OPTION_TARGET_LINK_LAYER: u8 = 2;

/// What kind of frame it is: what counters tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Who has this IPv4 address? (RFC 826)
    ArpRequest,
    /// A request whose sender is 0.0.0.0: may I have this address? (RFC 5227 §2.1)
    ArpProbe,
    /// An answer to a request (RFC 826).
    ArpReply,
    /// Request or reply whose sender is its target: gratuitous ARP (RFC 5227 §3, RFC 5944 §4.6).
    ArpAnnouncement,
    /// Neighbour solicitation (RFC 4861 §4.3).
    NeighborSolicit,
    /// Neighbour solicitation from `::`: duplicate address detection (RFC 4862 §5.4).
    DadSolicit,
    /// Neighbour advertisement (RFC 4861 §4.4).
    NeighborAdvert,
    /// Router solicitation, router advertisement or redirect (RFC 4861 §4.1, §4.2, §4.5).
    Router,
    /// Multicast listener discovery (RFC 2710, RFC 3810).
    Mld,
    /// Internet group management (RFC 2236, RFC 3376).
    Igmp,
    /// ICMP and ICMPv6: echo, errors.
    Icmp,
    /// A TCP segment without RST.
    Tcp,
    /// A TCP segment with RST.
    TcpReset,
    /// A UDP datagram.
    Udp,
    /// A fragment of an IP packet.
    Fragment,
    /// Another protocol over IP.
    OtherIp,
    /// Another protocol over Ethernet.
    OtherEthernet,
    /// Truncated, inconsistent, or with a wrong checksum where it was looked at.
    Malformed,
}

impl Kind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Kind; 18] = [
        Kind::ArpRequest,
        Kind::ArpProbe,
        Kind::ArpReply,
        Kind::ArpAnnouncement,
        Kind::NeighborSolicit,
        Kind::DadSolicit,
        Kind::NeighborAdvert,
        Kind::Router,
        Kind::Mld,
        Kind::Igmp,
        Kind::Icmp,
        Kind::Tcp,
        Kind::TcpReset,
        Kind::Udp,
        Kind::Fragment,
        Kind::OtherIp,
        Kind::OtherEthernet,
        Kind::Malformed,
    ];
}

/// The headers of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Ethernet source; zero if the frame is too short to have one.
    pub source: EthernetAddress,
    /// Ethernet destination; zero if the frame is too short to have one.
    pub destination: EthernetAddress,
    /// VLAN tags in front of the body, at most two.
    pub tags: u8,
    /// What the frame carries.
    pub body: Body,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// ARP for IPv4 over Ethernet.
    Arp(Arp),
    /// Neighbour discovery.
    Ndp(Ndp),
    /// Any other IP packet.
    Ip(Ip),
    /// Neither ARP nor IP.
    Other,
    /// Cannot be read, or must not be believed.
    Malformed,
}

/// An ARP packet. `sender` claims to be at `sender_mac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// A question; otherwise an answer.
    pub request: bool,
    /// Sender hardware address.
    pub sender_mac: EthernetAddress,
    /// Sender protocol address.
    pub sender: Ipv4Address,
    /// Target hardware address.
    pub target_mac: EthernetAddress,
    /// Target protocol address.
    pub target: Ipv4Address,
}

/// A neighbour discovery message that passed RFC 4861 §7.1, but for the hop limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ndp {
    /// IPv6 source.
    pub source: Ipv6Address,
    /// IPv6 destination.
    pub destination: Ipv6Address,
    /// Must be 255, or the message has crossed a router (RFC 4861 §7.1).
    pub hop_limit: u8,
    /// The message.
    pub message: NdpMessage,
    /// The source or target link-layer address option, whichever the message may carry.
    pub link_layer: Option<EthernetAddress>,
}

/// The message of a neighbour discovery packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NdpMessage {
    /// Neighbour solicitation.
    Solicit {
        /// The address asked for.
        target: Ipv6Address,
    },
    /// Neighbour advertisement.
    Advert {
        /// The address advertised.
        target: Ipv6Address,
        /// Whether it answers a solicitation.
        solicited: bool,
    },
    /// Router solicitation, router advertisement or redirect.
    Router,
}

/// An IP packet other than neighbour discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub source: IpAddress,
    /// Destination address.
    pub destination: IpAddress,
    /// What it carries: [`Kind::Mld`] to [`Kind::OtherIp`].
    pub kind: Kind,
}

impl View {
    /// Looks at the headers of `frame`, whatever it holds.
    #[inline]
    pub fn parse(frame: &[u8]) -> View {
        let zero = EthernetAddress([0; 6]);
        let Ok(ethernet) = EthernetFrame::new_checked(frame) else {
            return View { source: zero, destination: zero, tags: 0, body: Body::Malformed };
        };
        let (tags, body) = match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => (0, ipv4(ethernet.payload())),
            EthernetProtocol::Ipv6 => (0, ipv6(ethernet.payload())),
            EthernetProtocol::Arp => (0, arp(ethernet.payload())),
            EthernetProtocol::Unknown(_) => untag(frame),
        };
        View { source: ethernet.src_addr(), destination: ethernet.dst_addr(), tags, body }
    }

    /// What kind of frame it is, whether tagged or not.
    #[inline]
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Arp(arp) => arp.kind(),
            Body::Ndp(ndp) => ndp.kind(),
            Body::Ip(ip) => ip.kind,
            Body::Other => Kind::OtherEthernet,
            Body::Malformed => Kind::Malformed,
        }
    }
}

/// Whether a frame is ARP or neighbour discovery (RFC 826, RFC 4861 §4.3): by its place alone, without a look at whether
/// it is in order.
pub fn speaks_of_neighbours(frame: &[u8]) -> bool {
    match be16(frame, ADDRESSES_LEN).map(EthernetProtocol::from) {
        Some(EthernetProtocol::Arp) => true,
        Some(EthernetProtocol::Ipv6) => {
            frame.get(IPV6_NEXT_HEADER) == Some(&IpProtocol::Icmpv6.into())
                && matches!(frame.get(ICMPV6_TYPE), Some(&(NEIGHBOR_SOLICIT | NEIGHBOR_ADVERT)))
        }
        Some(_) | None => false,
    }
}

impl Arp {
    fn kind(self) -> Kind {
        if self.sender == self.target {
            Kind::ArpAnnouncement
        } else if !self.request {
            Kind::ArpReply
        } else if self.sender.is_unspecified() {
            Kind::ArpProbe
        } else {
            Kind::ArpRequest
        }
    }
}

impl Ndp {
    fn kind(self) -> Kind {
        match self.message {
            NdpMessage::Solicit { .. } if self.source.is_unspecified() => Kind::DadSolicit,
            NdpMessage::Solicit { .. } => Kind::NeighborSolicit,
            NdpMessage::Advert { .. } => Kind::NeighborAdvert,
            NdpMessage::Router => Kind::Router,
        }
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

/// The tags of a frame whose EtherType is neither ARP nor IP, and the body behind them.
fn untag(frame: &[u8]) -> (u8, Body) {
    let mut tags = 0;
    let mut at = ADDRESSES_LEN;
    loop {
        let Some(ethertype) = be16(frame, at) else { return (tags, Body::Malformed) };
        if TPIDS.contains(&ethertype) && tags < TAGS_MAX {
            tags += 1;
            at += TAG_LEN;
            continue;
        }
        let payload = frame.get(at + 2..).unwrap_or(&[]);
        let body = match EthernetProtocol::from(ethertype) {
            EthernetProtocol::Ipv4 => ipv4(payload),
            EthernetProtocol::Ipv6 => ipv6(payload),
            EthernetProtocol::Arp => arp(payload),
            EthernetProtocol::Unknown(_) => Body::Other,
        };
        return (tags, body);
    }
}

fn arp(payload: &[u8]) -> Body {
    let parsed = ArpPacket::new_checked(payload).and_then(|packet| ArpRepr::parse(&packet));
    // Non-exhaustive, but IPv4 over Ethernet is all that smoltcp's parser lets through.
    let Ok(ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_hardware_addr,
        target_protocol_addr,
    }) = parsed
    else {
        return Body::Malformed;
    };
    let request = match operation {
        ArpOperation::Request => true,
        ArpOperation::Reply => false,
        ArpOperation::Unknown(_) => return Body::Malformed,
    };
    Body::Arp(Arp {
        request,
        sender_mac: source_hardware_addr,
        sender: source_protocol_addr,
        target_mac: target_hardware_addr,
        target: target_protocol_addr,
    })
}

#[inline]
fn ipv4(payload: &[u8]) -> Body {
    let Ok(packet) = Ipv4Packet::new_checked(payload) else { return Body::Malformed };
    if packet.version() != 4 {
        return Body::Malformed;
    }
    let kind = if packet.more_frags() || packet.frag_offset() != 0 {
        Kind::Fragment
    } else {
        transport(packet.next_header(), packet.payload())
    };
    ip(packet.src_addr().into(), packet.dst_addr().into(), kind)
}

fn ipv6(payload: &[u8]) -> Body {
    let Ok(packet) = Ipv6Packet::new_checked(payload) else { return Body::Malformed };
    if packet.version() != 6 {
        return Body::Malformed;
    }
    let Some((protocol, payload)) = skip_extensions(packet.next_header(), packet.payload()) else {
        return Body::Malformed;
    };
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let packet_of = |kind| ip(source.into(), destination.into(), kind);
    if protocol != IpProtocol::Icmpv6 {
        return packet_of(transport(protocol, payload));
    }
    // By number: smoltcp's parser has no names for the messages of MLDv1.
    match payload.first() {
        None => Body::Malformed,
        Some(130..=132 | 143) => packet_of(Kind::Mld),
        Some(133..=137) => ndp(&packet, payload).map_or(Body::Malformed, Body::Ndp),
        Some(_) => packet_of(Kind::Icmp),
    }
}

#[inline]
fn ip(source: IpAddress, destination: IpAddress, kind: Kind) -> Body {
    if kind == Kind::Malformed {
        Body::Malformed
    } else {
        Body::Ip(Ip { source, destination, kind })
    }
}

/// The upper-layer protocol and its bytes (RFC 8200 §4); `None` if the chain is broken or too long.
fn skip_extensions(mut protocol: IpProtocol, mut payload: &[u8]) -> Option<(IpProtocol, &[u8])> {
    for _ in 0..=EXTENSIONS_MAX {
        let is_extension =
            matches!(protocol, IpProtocol::HopByHop | IpProtocol::Ipv6Route | IpProtocol::Ipv6Opts);
        if !is_extension {
            return Some((protocol, payload));
        }
        let (&next, &units) = (payload.first()?, payload.get(1)?);
        protocol = IpProtocol::from(next);
        payload = payload.get((usize::from(units) + 1) * 8..)?;
    }
    None
}

#[inline]
fn transport(protocol: IpProtocol, payload: &[u8]) -> Kind {
    match protocol {
        IpProtocol::Tcp => match TcpPacket::new_checked(payload) {
            Ok(segment) if segment.rst() => Kind::TcpReset,
            Ok(_) => Kind::Tcp,
            Err(_) => Kind::Malformed,
        },
        IpProtocol::Udp if UdpPacket::new_checked(payload).is_ok() => Kind::Udp,
        IpProtocol::Udp => Kind::Malformed,
        IpProtocol::Icmp => Kind::Icmp,
        IpProtocol::Igmp => Kind::Igmp,
        IpProtocol::Ipv6Frag => Kind::Fragment,
        IpProtocol::HopByHop
        | IpProtocol::Icmpv6
        | IpProtocol::Ipv6NoNxt
        | IpProtocol::Ipv6Opts
        | IpProtocol::Ipv6Route
        | IpProtocol::IpSecAh
        | IpProtocol::IpSecEsp
        | IpProtocol::Unknown(_) => Kind::OtherIp,
    }
}

/// Validity by RFC 4861 §7.1.1 and §7.1.2 (the hop limit is judged by the policy).
fn ndp(packet: &Ipv6Packet<&[u8]>, payload: &[u8]) -> Option<Ndp> {
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let icmp = Icmpv6Packet::new_checked(payload).ok()?;
    (icmp.msg_code() == 0 && icmp.verify_checksum(&source, &destination)).then_some(())?;
    let (message, link_layer) = match u8::from(icmp.msg_type()) {
        NEIGHBOR_SOLICIT => solicit(source, destination, icmp.target_addr(), payload)?,
        NEIGHBOR_ADVERT => advert(destination, icmp.target_addr(), payload)?,
        _ => (NdpMessage::Router, None),
    };
    Some(Ndp { source, destination, hop_limit: packet.hop_limit(), message, link_layer })
}

type Message = (NdpMessage, Option<EthernetAddress>);

fn solicit(
    source: Ipv6Address,
    destination: Ipv6Address,
    target: Ipv6Address,
    payload: &[u8],
) -> Option<Message> {
    (!target.is_multicast()).then_some(())?;
    let link_layer = link_layer_option(payload.get(NDP_OPTIONS..)?, OPTION_SOURCE_LINK_LAYER)?;
    if source.is_unspecified() {
        (destination == solicited_node(target) && link_layer.is_none()).then_some(())?;
    }
    Some((NdpMessage::Solicit { target }, link_layer))
}

fn advert(destination: Ipv6Address, target: Ipv6Address, payload: &[u8]) -> Option<Message> {
    let solicited = payload.get(NDP_FLAGS)? & FLAG_SOLICITED != 0;
    let answers_all = solicited && destination.is_multicast();
    (!target.is_multicast() && !answers_all).then_some(())?;
    let link_layer = link_layer_option(payload.get(NDP_OPTIONS..)?, OPTION_TARGET_LINK_LAYER)?;
    Some((NdpMessage::Advert { target, solicited }, link_layer))
}

/// The solicited-node multicast address of `address` (RFC 4291 §2.7.1).
pub(crate) fn solicited_node(address: Ipv6Address) -> Ipv6Address {
    let [.., a, b, c] = address.octets();
    let low = u16::from_be_bytes([b, c]);
    Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low)
}

/// The link-layer address in an option of type `wanted`, if there is one; `None` if an option is
/// malformed.
fn link_layer_option(mut options: &[u8], wanted: u8) -> Option<Option<EthernetAddress>> {
    let mut found = None;
    for _ in 0..NDP_OPTIONS_MAX {
        if options.is_empty() {
            return Some(found);
        }
        let (&kind, &units) = (options.first()?, options.get(1)?);
        let len = usize::from(units) * 8;
        // A length of zero is malformed (RFC 4861 §4.6), and would have no end.
        (len != 0).then_some(())?;
        let (option, rest) = options.split_at_checked(len)?;
        if kind == wanted {
            let mac: &[u8; 6] = option.get(2..)?.first_chunk()?;
            found = found.or(Some(EthernetAddress(*mac)));
        }
        options = rest;
    }
    None
}

#[cfg(test)]
mod tests;
