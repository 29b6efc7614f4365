//! A device that holds exactly one received frame, the one the stack has just looked at.

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, RxToken};
use smoltcp::time::Instant;

/// Hands one frame to smoltcp; transmits by the device behind it.
pub(crate) struct Slot<'a, D: Device> {
    frame: Option<&'a [u8]>,
    device: &'a mut D,
}

impl<'a, D: Device> Slot<'a, D> {
    pub(crate) fn new(frame: &'a [u8], device: &'a mut D) -> Self {
        Slot { frame: Some(frame), device }
    }

    pub(crate) fn empty(device: &'a mut D) -> Self {
        Slot { frame: None, device }
    }
}

impl<D: Device> Device for Slot<'_, D> {
    type RxToken<'b>
        = Frame<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = D::TxToken<'b>
    where
        Self: 'b;

    fn receive(&mut self, now: Instant) -> Option<(Frame<'_>, D::TxToken<'_>)> {
        // Without room for an answer the frame is lost, as on a full wire.
        let reply = self.device.transmit(now)?;
        Some((Frame(self.frame.take()?), reply))
    }

    fn transmit(&mut self, now: Instant) -> Option<D::TxToken<'_>> {
        self.device.transmit(now)
    }

    /// TCP checksums were looked at with the rest of the header.
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = self.device.capabilities();
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

pub(crate) struct Frame<'a>(&'a [u8]);

impl RxToken for Frame<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}
