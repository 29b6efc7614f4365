//! A port of a segment as a smoltcp device.

use std::cell::RefCell;
use std::rc::Rc;

use locum_types::Instant;
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant as SmolInstant;

use super::{PortId, Segment};

/// One port of a shared [`Segment`], for the owner of that port.
///
/// There is always room to transmit: like a network card, it accepts a frame and may lose it.
#[derive(Clone, Debug)]
pub struct Port {
    segment: Rc<RefCell<Segment>>,
    id: PortId,
}

impl Port {
    /// Plugs a new port into the segment.
    pub fn attach(segment: &Rc<RefCell<Segment>>) -> Port {
        let id = segment.borrow_mut().add_port();
        Port { segment: Rc::clone(segment), id }
    }

    /// Its name in the segment.
    pub fn id(&self) -> PortId {
        self.id
    }
}

impl Device for Port {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, now: SmolInstant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        let mut segment = self.segment.borrow_mut();
        segment.poll(now.into());
        let frame = segment.take(self.id)?;
        let rx = RxToken { segment: &self.segment, frame };
        Some((rx, TxToken { port: self, now: now.into() }))
    }

    fn transmit(&mut self, now: SmolInstant) -> Option<TxToken<'_>> {
        Some(TxToken { port: self, now: now.into() })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.segment.borrow().config().mtu + 14;
        capabilities
    }
}

/// One received frame.
#[derive(Debug)]
pub struct RxToken<'a> {
    segment: &'a RefCell<Segment>,
    frame: Vec<u8>,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.frame);
        self.segment.borrow_mut().recycle(self.frame);
        result
    }
}

/// Leave to transmit one frame.
#[derive(Debug)]
pub struct TxToken<'a> {
    port: &'a Port,
    now: Instant,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Port { segment, id } = self.port;
        let mut frame = segment.borrow_mut().buffer();
        frame.resize(len, 0);
        let result = f(&mut frame);
        let mut segment = segment.borrow_mut();
        segment.send(self.now, *id, &frame);
        segment.recycle(frame);
        result
    }
}
