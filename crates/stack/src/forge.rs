//! Sockets with a past: a handshake played on a private device, so that a connection starts with
//! exactly the sequence numbers it must have.
//!
//! A temporary interface with a chosen seed draws the wanted ISN ([`crate::isn`]); the socket then
//! moves to the real interface, which never knows the difference.

use std::collections::VecDeque;
use std::net::IpAddr;

use locum_types::Instant;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::wire::{
    HardwareAddress, IpAddress, IpCidr, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber,
};

use crate::isn::seed_for;
use crate::{Limits, Tuple};

const HOP_LIMIT: u8 = 64;
/// Whatever the prefix, the peer is reached by the default route of a private device.
const PREFIX_LEN: u8 = 32;

/// What a client negotiated when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Its maximum segment size.
    pub mss: u16,
    /// Its window scale, if it offered one.
    pub window_scale: Option<u8>,
    /// Whether it takes selective acknowledgements.
    pub sack: bool,
}

/// An established connection without data in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// Its ends.
    pub tuple: Tuple,
    /// What was negotiated.
    pub negotiated: Negotiated,
    /// The next sequence number expected from the client.
    pub remote_next: u32,
    /// The next sequence number to send.
    pub local_next: u32,
    /// The client's window, as its last segment carried it.
    pub window: u16,
}

/// A set with one socket, as every flow has.
pub(crate) struct Forged {
    pub(crate) set: SocketSet<'static>,
    pub(crate) handle: SocketHandle,
}

/// Makes sockets with chosen initial sequence numbers.
pub(crate) struct Forge {
    device: PrivateDevice,
}

impl Forge {
    /// For links with IP packets of up to `mtu` bytes.
    pub(crate) fn new(mtu: usize) -> Self {
        Forge { device: PrivateDevice::new(mtu) }
    }

    /// A socket that has received the SYN in `packet` (an IP packet), and will answer it with `isn`.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        tuple: &Tuple,
        isn: u32,
        packet: &[u8],
        limits: &Limits,
    ) -> Option<Forged> {
        let mut interface = self.interface(now, tuple.local.ip(), isn);
        let mut forged = listening(tuple, limits)?;
        self.feed(now, &mut interface, &mut forged.set, packet.to_vec());
        self.device.sent.clear();
        let socket = forged.set.get::<tcp::Socket<'_>>(forged.handle);
        (socket.state() == tcp::State::SynReceived).then_some(forged)
    }

    /// A socket in the middle of an established connection.
    pub(crate) fn materialise(
        &mut self,
        now: Instant,
        flow: &Established,
        limits: &Limits,
    ) -> Option<Forged> {
        let isn = flow.local_next.wrapping_sub(1);
        let mut interface = self.interface(now, flow.tuple.local.ip(), isn);
        let mut forged = listening(&flow.tuple, limits)?;
        let syn = self.segment(flow, TcpControl::Syn, flow.remote_next.wrapping_sub(1), None);
        self.feed(now, &mut interface, &mut forged.set, syn);
        interface.poll_egress(now.into(), &mut self.device, &mut forged.set);
        let ack = self.segment(flow, TcpControl::None, flow.remote_next, Some(flow.local_next));
        self.feed(now, &mut interface, &mut forged.set, ack);
        // The SYN|ACK went to nobody; its retransmission is not due, for it has been acknowledged.
        self.device.sent.clear();
        let socket = forged.set.get::<tcp::Socket<'_>>(forged.handle);
        (socket.state() == tcp::State::Established).then_some(forged)
    }

    fn interface(&mut self, now: Instant, local: IpAddr, isn: u32) -> Interface {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed_for(isn);
        let mut interface = Interface::new(config, &mut self.device, now.into());
        interface.update_ip_addrs(|addresses| {
            // One address in a list that holds eight.
            let _ = addresses.push(IpCidr::new(local.into(), PREFIX_LEN));
        });
        let routes = interface.routes_mut();
        // One route in a list that holds eight.
        let _ = match local {
            IpAddr::V4(local) => routes.add_default_ipv4_route(local).map(|_| ()),
            IpAddr::V6(local) => routes.add_default_ipv6_route(local).map(|_| ()),
        };
        interface
    }

    fn feed(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        set: &mut SocketSet<'static>,
        packet: Vec<u8>,
    ) {
        self.device.received.push_back(packet);
        interface.poll_ingress_single(now.into(), &mut self.device, set);
    }

    /// A segment from the client, as an IP packet.
    fn segment(
        &self,
        flow: &Established,
        control: TcpControl,
        sequence: u32,
        ack: Option<u32>,
    ) -> Vec<u8> {
        let Negotiated { mss, window_scale, sack } = flow.negotiated;
        let syn = control == TcpControl::Syn;
        let tcp = TcpRepr {
            src_port: flow.tuple.remote.port(),
            dst_port: flow.tuple.local.port(),
            control,
            seq_number: TcpSeqNumber(sequence as i32),
            ack_number: ack.map(|ack| TcpSeqNumber(ack as i32)),
            window_len: flow.window,
            window_scale: window_scale.filter(|_| syn),
            max_seg_size: syn.then_some(mss),
            sack_permitted: sack && syn,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let (remote, local) = (flow.tuple.remote.ip().into(), flow.tuple.local.ip().into());
        packet(&tcp, remote, local)
    }
}

fn packet(tcp: &TcpRepr<'_>, source: IpAddress, destination: IpAddress) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let ip = IpRepr::new(source, destination, IpProtocol::Tcp, tcp.buffer_len(), HOP_LIMIT);
    let mut bytes = vec![0; ip.header_len() + tcp.buffer_len()];
    let (head, body) = bytes.split_at_mut(ip.header_len());
    tcp.emit(&mut TcpPacket::new_unchecked(body), &source, &destination, &checksums);
    ip.emit(head, &checksums);
    bytes
}

/// A fresh set with a socket that listens for one client.
fn listening(tuple: &Tuple, limits: &Limits) -> Option<Forged> {
    let buffer = |len: usize| tcp::SocketBuffer::new(vec![0; len]);
    let rx = limits.rx_buffer.min(crate::config::RX_BUFFER_MAX);
    let mut socket = tcp::Socket::new(buffer(rx), buffer(limits.tx_buffer));
    // Requests and answers are whole: waiting for more to send, or for something to piggyback an ACK on,
    // only adds latency.
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    // smoltcp's own timeout and keep-alive stay off: see `Flow::probe`.
    socket.listen((tuple.local.ip(), tuple.local.port())).ok()?;
    let mut set = SocketSet::new(Vec::with_capacity(1));
    let handle = set.add(socket);
    Some(Forged { set, handle })
}

/// Two queues that nobody else sees.
struct PrivateDevice {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    capabilities: DeviceCapabilities,
}

impl PrivateDevice {
    fn new(mtu: usize) -> Self {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = mtu;
        PrivateDevice { received: VecDeque::new(), sent: Vec::new(), capabilities }
    }
}

impl Device for PrivateDevice {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _now: smoltcp::time::Instant) -> Option<(Received, Sent<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), Sent(&mut self.sent)))
    }

    fn transmit(&mut self, _now: smoltcp::time::Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Sent<'a>(&'a mut Vec<Vec<u8>>);

impl phy::TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(isn: u32) -> Established {
        Established {
            tuple: Tuple {
                remote: "10.0.0.9:40000".parse().unwrap(),
                local: "10.0.0.1:80".parse().unwrap(),
            },
            negotiated: Negotiated { mss: 1460, window_scale: Some(7), sack: true },
            remote_next: isn.rotate_left(7),
            local_next: isn,
            window: 500,
        }
    }

    #[test]
    fn every_sequence_number_can_be_had() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut forge = Forge::new(1500);
        let edges = [0, 1, 2, u32::MAX, u32::MAX - 1, 0x7fff_ffff, 0x8000_0000];
        for isn in edges.into_iter().chain(std::iter::repeat_with(|| rng.u32(..)).take(2_000)) {
            let forged = forge.materialise(Instant::ZERO, &flow(isn), &Limits::default());
            assert!(forged.is_some(), "local_next {isn}: an ACK of another number is refused");
        }
    }
}
