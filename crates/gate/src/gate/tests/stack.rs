//! A whole smoltcp behind the gate: a listener, a UDP socket and ICMP, bombarded in every mode.

use std::time::Duration;

use locum_types::{Grant, Term};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{HardwareAddress, IpEndpoint, TcpControl};

use super::*;
use crate::testing;

struct Host<D: Device> {
    device: D,
    interface: Interface,
    sockets: SocketSet<'static>,
    listener: SocketHandle,
    datagrams: SocketHandle,
}

impl<D: Device> Host<D> {
    fn new(mut device: D, identity: &Identity) -> Self {
        let config = Config::new(HardwareAddress::Ethernet(identity.service_mac()));
        let mut interface = Interface::new(config, &mut device, SmolInstant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for cidr in &identity.service {
                addresses.push(*cidr).expect("two addresses fit");
            }
        });
        let mut listener = tcp_socket();
        listener.listen(7).expect("a fresh socket listens");
        let mut datagrams = udp_socket();
        datagrams.bind(7).expect("a fresh socket binds");
        let mut sockets = SocketSet::new(vec![]);
        let listener = sockets.add(listener);
        let datagrams = sockets.add(datagrams);
        Host { device, interface, sockets, listener, datagrams }
    }

    /// One poll, in which every datagram is echoed.
    fn poll(&mut self, now: Instant) {
        self.interface.poll(now.into(), &mut self.device, &mut self.sockets);
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.datagrams);
        while let Ok((data, from)) = socket.recv() {
            let data = data.to_vec();
            socket.send_slice(&data, from).expect("there is room");
        }
        self.interface.poll(now.into(), &mut self.device, &mut self.sockets);
    }

    fn tcp(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.listener)
    }

    fn udp(&mut self) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(self.datagrams)
    }
}

fn tcp_socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
    tcp::Socket::new(buffer(), buffer())
}

fn udp_socket() -> udp::Socket<'static> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 32], vec![0; 4096]);
    udp::Socket::new(buffer(), buffer())
}

fn gated(mode: Mode, mac_mode: MacMode) -> (Host<Gate<FrameQueue>>, Arc<ModeCell>, Identity) {
    let (identity, cell) = (identity(mac_mode), cell(mode));
    let mut gate = Gate::new(FrameQueue::new(1500, 256), identity.clone(), Arc::clone(&cell));
    gate.poll(Instant::ZERO);
    gate.inner_mut().clear();
    (Host::new(gate, &identity), cell, identity)
}

fn sent(queue: &mut FrameQueue) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| queue.pop_transmit(<[u8]>::to_vec)).collect()
}

/// SYNs, pings, ARP, NS, queries, garbage, round after round.
fn bombard(host: &mut Host<Gate<FrameQueue>>, identity: &Identity, until: Instant) -> Vec<Vec<u8>> {
    let mut left = Vec::new();
    let mut now = T0;
    while now < until {
        host.device.poll(now);
        for frame in traffic(identity) {
            host.device.inner_mut().push(&frame);
        }
        host.poll(now);
        left.extend(sent(host.device.inner_mut()));
        now += ms(50);
    }
    left
}

#[test]
fn a_bombarded_stack_that_is_not_active_says_nothing() {
    for mac_mode in MAC_MODES {
        for mode in SILENT {
            let (mut host, _cell, identity) = gated(mode, mac_mode);
            assert_eq!(bombard(&mut host, &identity, T0 + ms(5_000)), Vec::<Vec<u8>>::new());
            assert_eq!(host.device.inner().rx_len(), 0, "nothing starves behind a filtered frame");
            assert_eq!(host.tcp().state(), tcp::State::Listen);
            let counters = host.device.counters();
            assert!(counters.egress.not_active.mld > 0, "the stack did speak");
            assert_eq!(counters.ingress.frames, counters.ingress.dropped());
        }
    }
}

// The positive half: the same bombardment, active. Everything that leaves is the service's to say,
// and clients are answered.
#[test]
fn a_bombarded_active_stack_answers() {
    for mac_mode in MAC_MODES {
        let (mut host, _cell, identity) = gated(Mode::Active, mac_mode);
        let left = bombard(&mut host, &identity, T0 + ms(5_000));
        let kinds: Vec<Kind> = left.iter().map(|frame| view(frame).kind()).collect();
        for kind in [
            Kind::ArpReply,
            Kind::ArpAnnouncement,
            Kind::NeighborAdvert,
            Kind::Mld,
            Kind::Icmp,
            Kind::Tcp,
            Kind::Udp,
        ] {
            assert!(kinds.contains(&kind), "no {kind:?}");
        }
        for frame in &left {
            let verdict = policy::egress(Mode::Active, &identity, &view(frame));
            assert!(matches!(verdict, Egress::Pass | Egress::Rewrite(_)), "{frame:02x?}");
        }
        let counters = host.device.counters();
        assert_eq!(counters.egress.dropped(), 0, "{:?}", counters.egress);
    }
}

// RFC 3810 §5.2.12: smoltcp joins by a record that means leave; on the wire it must be a join.
#[test]
fn the_stacks_own_report_joins_its_group_on_the_wire() {
    let (mut host, _cell, identity) = gated(Mode::Active, MacMode::Virtual);
    host.poll(T0);
    let group = crate::frame::solicited_node(SIP6);
    let source = Ipv6Address::UNSPECIFIED;
    let join = crafted(|buffer| craft::join((identity.service_mac(), source), group, buffer));
    let reports: Vec<_> = sent(host.device.inner_mut())
        .into_iter()
        .filter(|frame| view(frame).kind() == Kind::Mld)
        .collect();
    assert_eq!(reports, [join], "the same bytes as the gate's own report");
    assert_eq!(host.device.counters().egress.rewritten, 1);
}

// RFC 4861 §7.2.4: as the client sees it.
#[test]
fn solicitations_are_answered_with_the_override_flag() {
    let (mut host, _cell, identity) = gated(Mode::Active, MacMode::Virtual);
    host.poll(T0);
    sent(host.device.inner_mut());
    host.device.inner_mut().push(&solicitation(CLIENT_MAC, CLIENT6, SIP6));
    host.poll(T0);
    let mac = identity.service_mac();
    let answer = crafted(|buffer| craft::advert((mac, SIP6), (CLIENT_MAC, CLIENT6), buffer));
    assert_eq!(sent(host.device.inner_mut()), [answer]);
}

/// A client's half of a conversation with the host's TCP port 7, good for the first few segments.
struct Conversation {
    from: testing::Station,
    to: testing::Station,
    theirs: u32,
}

impl Conversation {
    fn open<D: Device>(
        host: &mut Host<D>,
        identity: &Identity,
        queue: fn(&mut D) -> &mut FrameQueue,
        now: Instant,
    ) -> Self {
        let (from, to) = (client(), service(identity));
        queue(&mut host.device).push(&arp_request(CLIENT_MAC, CLIENT, SIP));
        queue(&mut host.device).push(&syn(from, to));
        host.poll(now);
        let answers = sent(queue(&mut host.device));
        let answer = answers.iter().find(|frame| view(frame).kind() == Kind::Tcp);
        let answer = answer.expect("a SYN|ACK");
        let theirs = u32::from_be_bytes(answer[38..42].try_into().expect("four bytes"));
        let conversation = Conversation { from, to, theirs: theirs.wrapping_add(1) };
        queue(&mut host.device).push(&conversation.ack());
        host.poll(now);
        conversation
    }

    fn ack(&self) -> Vec<u8> {
        let mut frame = tcp(self.from, self.to, TcpControl::None, true);
        frame[38..42].copy_from_slice(&1_001u32.to_be_bytes());
        frame[42..46].copy_from_slice(&self.theirs.to_be_bytes());
        let mut segment = smoltcp::wire::TcpPacket::new_unchecked(&mut frame[34..]);
        segment.fill_checksum(&self.from.1, &self.to.1);
        frame
    }
}

/// What of a stack's state its sockets show.
#[derive(Debug, PartialEq)]
struct State {
    tcp: tcp::State,
    tcp_queues: (usize, usize),
    udp_queues: (usize, usize),
    remote: Option<IpEndpoint>,
    poll_at: Option<SmolInstant>,
}

fn state<D: Device>(host: &mut Host<D>, now: Instant) -> State {
    let poll_at = host.interface.poll_at(now.into(), &host.sockets);
    let udp = host.udp();
    let udp_queues = (udp.send_queue(), udp.recv_queue());
    let tcp = host.tcp();
    State {
        tcp: tcp.state(),
        tcp_queues: (tcp.send_queue(), tcp.recv_queue()),
        udp_queues,
        remote: tcp.remote_endpoint(),
        poll_at,
    }
}

// A suppressed transmit runs its closure: the sockets stand where they would stand without a gate.
#[test]
fn a_lease_that_ends_midway_silences_the_stack_but_does_not_bend_its_state() {
    let (mut host, cell, identity) = gated(Mode::Active, MacMode::Virtual);
    let mut bare = Host::new(FrameQueue::new(1500, 256), &identity);
    Conversation::open(&mut host, &identity, Gate::inner_mut, T0);
    Conversation::open(&mut bare, &identity, |queue| queue, T0);
    assert_eq!(host.tcp().state(), tcp::State::Established);
    assert_eq!(state(&mut host, T0), state(&mut bare, T0));
    sent(host.device.inner_mut());
    sent(&mut bare.device);

    let end = Instant::from_micros(6_400_000);
    cell.store(Grant { mode: Mode::Active, term: Term(1), lease: end });
    let before = end.saturating_sub(Duration::from_micros(1));
    let to = IpEndpoint::new(CLIENT.into(), 40_000);
    for (now, gated_frames) in [(before, 2), (end, 0), (end + ms(2_000), 0), (end + ms(9_000), 0)] {
        host.tcp().send_slice(b"stream").expect("established");
        bare.tcp().send_slice(b"stream").expect("established");
        host.udp().send_slice(b"datagram", to).expect("room");
        bare.udp().send_slice(b"datagram", to).expect("room");
        host.poll(now);
        bare.poll(now);
        assert_eq!(sent(host.device.inner_mut()).len(), gated_frames, "at {now}");
        assert!(!sent(&mut bare.device).is_empty());
        assert_eq!(state(&mut host, now), state(&mut bare, now), "at {now}");
        assert_eq!(host.udp().send_queue(), 0, "the datagram was taken");
    }
    assert!(host.device.counters().egress.not_active.tcp >= 2, "with retransmissions");
}

// Waiting to active: the stack has been alive all along, and serves with the next frame.
#[test]
fn a_stack_that_was_waiting_serves_at_once_when_the_gate_opens() {
    let (mut host, cell, identity) = gated(Mode::Waiting, MacMode::Virtual);
    bombard(&mut host, &identity, T0 + ms(1_000));
    grant(&cell, Mode::Active, 2);
    let now = T0 + ms(1_000);
    host.device.poll(now);
    let burst = sent(host.device.inner_mut());
    assert_eq!(burst.len(), 4, "announced before anything else");
    Conversation::open(&mut host, &identity, Gate::inner_mut, now);
    assert_eq!(host.tcp().state(), tcp::State::Established);
}
