//! Sockets with a past: a handshake played on a private device, so that a connection starts with
//! exactly the sequence numbers it must have.
//!
//! A temporary interface with a chosen seed draws the wanted ISN (module `isn`); the socket then
//! moves to the real interface, which never knows the difference.

use std::collections::VecDeque;
use std::net::IpAddr;

use locum_types::Instant;
use locum_types::sabotage::{Sabotage, sabotaged};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, HardwareAddress, IpCidr, IpProtocol, IpRepr, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber,
};

use crate::image::{FlowImage, TcpState};
use crate::isn::seed_for;
use crate::neighbours::ethernet;
use crate::stack::ETHERNET_HEADER;
use crate::{Limits, Tuple};

const HOP_LIMIT: u8 = 64;
/// Held bytes are played in pieces that fit an IP packet.
const CHUNK: usize = 32 * 1024;
/// Whatever the prefix, the peer is reached by the default route of a private device.
const PREFIX_LEN: u8 = 32;

/// What a client negotiated when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Negotiated {
    /// Its maximum segment size.
    pub mss: u16,
    /// Its window scale, if it offered one.
    pub window_scale: Option<u8>,
    /// Whether it takes selective acknowledgements.
    pub sack: bool,
}

/// A set with one socket, as every flow has.
pub(crate) struct Forged {
    pub(crate) set: SocketSet<'static>,
    pub(crate) handle: SocketHandle,
}

impl Forged {
    fn socket(&self) -> &tcp::Socket<'static> {
        self.set.get(self.handle)
    }

    fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }
}

impl TcpState {
    fn in_smoltcp(self) -> tcp::State {
        match self {
            TcpState::SynReceived => tcp::State::SynReceived,
            TcpState::Established => tcp::State::Established,
            TcpState::CloseWait => tcp::State::CloseWait,
            TcpState::FinWait1 => tcp::State::FinWait1,
            TcpState::FinWait2 => tcp::State::FinWait2,
            TcpState::Closing => tcp::State::Closing,
            TcpState::TimeWait => tcp::State::TimeWait,
        }
    }
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
        (forged.socket().state() == tcp::State::SynReceived).then_some(forged)
    }

    /// A socket in exactly the state that `image` tells. `None` if the image contradicts itself, or holds
    /// more than the buffers do.
    ///
    /// Once it is polled with the real interface, it sends all that is not acknowledged. If there is nothing,
    /// it sends one acknowledgement with its window, for it has received something that it has not
    /// acknowledged: the client's FIN, held bytes, or a byte that nobody gets to see. In TIME-WAIT it says
    /// nothing: the client may be gone, and would answer with a reset.
    pub(crate) fn materialise(
        &mut self,
        now: Instant,
        image: &FlowImage,
        limits: &Limits,
    ) -> Option<Forged> {
        if !image.is_possible(limits) {
            return None;
        }
        let state = image.state();
        let silent = image.held.is_empty() && !image.client_fin;
        // The numbers just before those of the first byte that matters, on each side.
        let ours = image.local_isn.wrapping_add(image.acked as u32);
        let unseen = u32::from(silent && image.opened);
        let theirs = image.remote_isn.wrapping_add(image.delivered as u32).wrapping_sub(unseen);

        let mut interface = self.interface(now, image.tuple.local.ip(), ours);
        let mut forged = listening(&image.tuple, limits)?;
        let client = Puppet { image, ack: ours.wrapping_add(1) };
        let syn = client.segment(TcpControl::Syn, theirs, &[]);
        self.feed(now, &mut interface, &mut forged.set, syn);
        if image.opened {
            // The SYN|ACK goes to nobody; its retransmission is not due, for it is acknowledged.
            interface.poll_egress(now.into(), &mut self.device, &mut forged.set);
            let ack = client.segment(TcpControl::None, theirs.wrapping_add(1), &[]);
            self.feed(now, &mut interface, &mut forged.set, ack);
            let received = if silent { &[0][..] } else { &image.held };
            let client = self.send(now, &mut interface, &mut forged, client)?;
            self.receive(now, &mut interface, &mut forged, &client, theirs, received);
            if silent {
                forged.socket_mut().recv_slice(&mut [0]).ok()?;
            }
            if state == TcpState::TimeWait {
                interface.poll_egress(now.into(), &mut self.device, &mut forged.set);
            }
        }
        self.device.sent.clear();
        (forged.socket().state() == state.in_smoltcp()).then_some(forged)
    }

    /// Output and FIN. Returns the client as it knows of them.
    fn send<'a>(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        forged: &mut Forged,
        client: Puppet<'a>,
    ) -> Option<Puppet<'a>> {
        let image = client.image;
        let socket = forged.socket_mut();
        if socket.send_slice(&image.unacked).ok()? != image.unacked.len() {
            return None;
        }
        if image.closing {
            socket.close();
        }
        if !image.fin_acked {
            return Some(client);
        }
        interface.poll_egress(now.into(), &mut self.device, &mut forged.set);
        Some(Puppet { ack: client.ack.wrapping_add(1), ..client })
    }

    /// What the client has sent after the number `theirs`: bytes, and perhaps FIN.
    fn receive(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        forged: &mut Forged,
        client: &Puppet<'_>,
        theirs: u32,
        bytes: &[u8],
    ) {
        let mut sequence = theirs.wrapping_add(1);
        for chunk in bytes.chunks(CHUNK) {
            let segment = client.segment(TcpControl::None, sequence, chunk);
            self.feed(now, interface, &mut forged.set, segment);
            sequence = sequence.wrapping_add(chunk.len() as u32);
        }
        if client.image.client_fin {
            let fin = client.segment(TcpControl::Fin, sequence, &[]);
            self.feed(now, interface, &mut forged.set, fin);
        }
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
}

/// The client of an image, as it would speak.
struct Puppet<'a> {
    image: &'a FlowImage,
    /// What it acknowledges.
    ack: u32,
}

impl Puppet<'_> {
    /// A segment from the client, as an IP packet.
    fn segment(&self, control: TcpControl, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let Negotiated { mss, window_scale, sack } = self.image.negotiated;
        let syn = control == TcpControl::Syn;
        let window_scale = window_scale.filter(|_| !sabotaged(Sabotage::ScaleForgotten));
        let segment = FromClient {
            tuple: &self.image.tuple,
            control,
            sequence,
            ack: (!syn).then_some(self.ack),
            window: self.image.window,
            payload,
        };
        packet(
            &TcpRepr {
                window_scale: window_scale.filter(|_| syn),
                max_seg_size: syn.then_some(mss),
                sack_permitted: sack && syn,
                ..segment.repr()
            },
            &self.image.tuple,
        )
    }
}

/// What a segment from a client says.
pub(crate) struct FromClient<'a> {
    pub(crate) tuple: &'a Tuple,
    pub(crate) control: TcpControl,
    pub(crate) sequence: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) window: u16,
    pub(crate) payload: &'a [u8],
}

impl<'a> FromClient<'a> {
    /// It as an IP packet.
    pub(crate) fn packet(&self) -> Vec<u8> {
        packet(&self.repr(), self.tuple)
    }

    /// It in a frame.
    pub(crate) fn frame(&self, source: EthernetAddress, destination: EthernetAddress) -> Vec<u8> {
        let packet = self.packet();
        let protocol = match self.tuple.remote.is_ipv4() {
            true => EthernetProtocol::Ipv4,
            false => EthernetProtocol::Ipv6,
        };
        let mut frame = ethernet(destination, source, protocol, packet.len());
        frame[ETHERNET_HEADER..].copy_from_slice(&packet);
        frame
    }

    fn repr(&self) -> TcpRepr<'a> {
        TcpRepr {
            src_port: self.tuple.remote.port(),
            dst_port: self.tuple.local.port(),
            control: self.control,
            seq_number: TcpSeqNumber(self.sequence as i32),
            ack_number: self.ack.map(|ack| TcpSeqNumber(ack as i32)),
            window_len: self.window,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: self.payload,
        }
    }
}

fn packet(tcp: &TcpRepr<'_>, tuple: &Tuple) -> Vec<u8> {
    let (source, destination) = (tuple.remote.ip().into(), tuple.local.ip().into());
    let checksums = ChecksumCapabilities::default();
    let ip = IpRepr::new(source, destination, IpProtocol::Tcp, tcp.buffer_len(), HOP_LIMIT);
    let mut bytes = vec![0; ip.header_len() + tcp.buffer_len()];
    let (head, body) = bytes.split_at_mut(ip.header_len());
    tcp.emit(&mut TcpPacket::new_unchecked(body), &source, &destination, &checksums);
    ip.emit(head, &checksums);
    bytes
}

/// A fresh set with a socket that listens for one client.
pub(crate) fn listening(tuple: &Tuple, limits: &Limits) -> Option<Forged> {
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
mod tests;
