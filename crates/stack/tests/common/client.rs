//! A client host with smoltcp of its own.

use locum_gate::FrameQueue;
use locum_types::Instant;
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::{CLIENT, CLIENT_MAC, CLIENT_V6, PORT};

const FIRST_PORT: u16 = 40_000;

pub struct Client {
    pub frames: FrameQueue,
    interface: Interface,
    pub sockets: SocketSet<'static>,
    next_port: u16,
}

impl Client {
    pub fn new() -> Self {
        Client::on_link(1_500, 99, Instant::from_millis(1_000))
    }

    /// On a link with IP packets of up to `mtu` bytes; the seed makes its initial sequence numbers.
    pub fn on_link(mtu: usize, seed: u64, now: Instant) -> Self {
        let mut frames = FrameQueue::new(mtu, 1_024);
        let mut config = Config::new(HardwareAddress::Ethernet(CLIENT_MAC));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut frames, now.into());
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(CLIENT, 24)).unwrap();
            addresses.push(IpCidr::new(CLIENT_V6, 64)).unwrap();
        });
        Client { frames, interface, sockets: SocketSet::new(Vec::new()), next_port: FIRST_PORT }
    }

    /// Starts a connection to [`PORT`], with a receive buffer of `window` bytes.
    pub fn connect(&mut self, to: IpAddress, window: usize) -> SocketHandle {
        let buffer = |len| tcp::SocketBuffer::new(vec![0; len]);
        let mut socket = tcp::Socket::new(buffer(window), buffer(64 * 1024));
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        socket.connect(self.interface.context(), (to, PORT), self.next_port).unwrap();
        self.next_port += 1;
        self.sockets.add(socket)
    }

    pub fn bind_udp(&mut self, port: u16) -> SocketHandle {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 16 * 1_500]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    pub fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub fn udp(&mut self, handle: SocketHandle) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Moves on a transfer: sends what is left of `output`, appends what came to `input`.
    pub fn exchange(
        &mut self,
        handle: SocketHandle,
        output: &mut &[u8],
        input: &mut Vec<u8>,
    ) -> bool {
        let socket = self.tcp(handle);
        let sent = if socket.may_send() { socket.send_slice(output).unwrap_or(0) } else { 0 };
        *output = &output[sent..];
        self.read(handle, input) || sent > 0
    }

    pub fn read(&mut self, handle: SocketHandle, input: &mut Vec<u8>) -> bool {
        let socket = self.tcp(handle);
        let mut buffer = [0; 4_096];
        let before = input.len();
        while let Ok(len @ 1..) = socket.recv_slice(&mut buffer) {
            input.extend_from_slice(&buffer[..len]);
        }
        input.len() > before
    }

    pub fn poll(&mut self, now: Instant) {
        self.interface.poll_maintenance(now.into());
        loop {
            let taken =
                self.interface.poll_ingress_single(now.into(), &mut self.frames, &mut self.sockets);
            if matches!(taken, smoltcp::iface::PollIngressSingleResult::None) {
                break;
            }
        }
        for _ in 0..64 {
            let result =
                self.interface.poll_egress(now.into(), &mut self.frames, &mut self.sockets);
            if matches!(result, PollResult::None) {
                break;
            }
        }
    }
}
