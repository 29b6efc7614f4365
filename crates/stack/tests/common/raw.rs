//! Segments made by hand, and what comes back.

use locum_gate::FrameQueue;
use locum_stack::Stack;
use locum_types::Instant;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, IpRepr, Ipv4Packet,
    TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::{CLIENT, CLIENT_MAC, PORT, SERVER, SERVER_MAC};

/// One end of a connection, by hand.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    pub from: IpAddress,
    pub from_port: u16,
    pub to: IpAddress,
    pub to_port: u16,
    pub to_mac: EthernetAddress,
    pub sequence: u32,
    pub ack: Option<u32>,
    pub window: u16,
}

/// What a segment of the stack says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub control: TcpControl,
    pub to_port: u16,
    pub sequence: u32,
    pub ack: Option<u32>,
    pub window: u16,
    pub len: usize,
    pub window_scale: Option<u8>,
    pub timestamps: bool,
}

impl Answer {
    pub fn is_reset(&self) -> bool {
        self.control == TcpControl::Rst
    }
}

impl Raw {
    pub fn new(port: u16) -> Self {
        Raw {
            from: CLIENT,
            from_port: port,
            to: SERVER,
            to_port: PORT,
            to_mac: SERVER_MAC,
            sequence: 1_000,
            ack: None,
            window: 65_535,
        }
    }

    pub fn frame(&self, control: TcpControl, payload: &[u8]) -> Vec<u8> {
        let syn = control == TcpControl::Syn;
        let tcp = TcpRepr {
            src_port: self.from_port,
            dst_port: self.to_port,
            control,
            seq_number: TcpSeqNumber(self.sequence as i32),
            ack_number: self.ack.map(|ack| TcpSeqNumber(ack as i32)),
            window_len: self.window,
            window_scale: syn.then_some(0),
            max_seg_size: syn.then_some(1460),
            sack_permitted: syn,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let checksums = ChecksumCapabilities::default();
        let ip = IpRepr::new(self.from, self.to, IpProtocol::Tcp, tcp.buffer_len(), 64);
        let mut bytes = vec![0; 14 + ip.header_len() + tcp.buffer_len()];
        let mut ethernet = EthernetFrame::new_unchecked(&mut bytes[..]);
        ethernet.set_dst_addr(self.to_mac);
        ethernet.set_src_addr(CLIENT_MAC);
        ethernet.set_ethertype(match self.from {
            IpAddress::Ipv4(_) => EthernetProtocol::Ipv4,
            IpAddress::Ipv6(_) => EthernetProtocol::Ipv6,
        });
        let (head, body) = ethernet.payload_mut().split_at_mut(ip.header_len());
        ip.emit(head, &checksums);
        tcp.emit(&mut TcpPacket::new_unchecked(body), &self.from, &self.to, &checksums);
        bytes
    }

    /// Sends a segment; returns the segments that come back.
    pub fn send(
        &self,
        stack: &mut Stack<FrameQueue>,
        now: Instant,
        control: TcpControl,
        payload: &[u8],
    ) -> Vec<Answer> {
        stack.device_mut().push(&self.frame(control, payload));
        poll(stack, now)
    }

    /// Opens a connection; returns the SYN|ACK.
    pub fn connect(&mut self, stack: &mut Stack<FrameQueue>, now: Instant) -> Answer {
        let answers = self.send(stack, now, TcpControl::Syn, &[]);
        let [answer] = answers[..] else { panic!("not one answer to a SYN: {answers:?}") };
        assert_eq!(answer.control, TcpControl::Syn);
        self.sequence = self.sequence.wrapping_add(1);
        self.ack = Some(answer.sequence.wrapping_add(1));
        assert_eq!(self.send(stack, now, TcpControl::None, &[]), []);
        answer
    }
}

/// Polls until there is nothing to do; returns the segments that were sent.
pub fn poll(stack: &mut Stack<FrameQueue>, now: Instant) -> Vec<Answer> {
    let mut answers = Vec::new();
    for _ in 0..1_000 {
        let busy = stack.poll(now);
        while let Some(answer) = stack.device_mut().pop_transmit(parse) {
            answers.extend(answer);
        }
        if !busy {
            return answers;
        }
    }
    panic!("the stack never comes to rest");
}

/// Lets time pass, following the stack's own deadlines.
pub fn run(stack: &mut Stack<FrameQueue>, now: &mut Instant, until: Instant) -> Vec<Answer> {
    let mut answers = poll(stack, *now);
    while let Some((at, _)) = stack.poll_deadline().filter(|&(at, _)| at <= until) {
        assert!(at > *now, "a deadline that does not move on");
        *now = at;
        answers.extend(poll(stack, *now));
    }
    *now = until;
    answers.extend(poll(stack, *now));
    answers
}

/// The TCP segment in a frame over IPv4, if it is one.
pub fn parse(frame: &[u8]) -> Option<Answer> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 || ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let packet = TcpPacket::new_checked(ip.payload()).ok()?;
    let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
    let tcp = TcpRepr::parse(&packet, &from, &to, &ChecksumCapabilities::default()).ok()?;
    Some(Answer {
        control: tcp.control,
        to_port: tcp.dst_port,
        sequence: tcp.seq_number.0 as u32,
        ack: tcp.ack_number.map(|ack| ack.0 as u32),
        window: tcp.window_len,
        len: tcp.payload.len(),
        window_scale: tcp.window_scale,
        timestamps: tcp.timestamp.is_some(),
    })
}
