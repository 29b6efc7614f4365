//! The node's links: one TAP for the service, and one for the beats if they have their own.

use std::num::NonZeroU16;
use std::sync::Arc;

use locum_appliance::{Port, WillFrame};
use locum_link::{Received, Sent, Tap, TapError, TapOptions, Will};

use crate::config::Config;

/// The open TAPs, shared by the threads: one frame is one system call.
pub(super) struct Links {
    service: Arc<Tap>,
    heartbeat: Option<Arc<Tap>>,
}

impl Links {
    /// Opens what the configuration names.
    pub(super) fn open(config: &Config) -> Result<Links, TapError> {
        let open = |name: &str| Tap::open(name, TapOptions::default()).map(Arc::new);
        let heartbeat = config.heartbeat.tap.as_deref().map(open).transpose()?;
        Ok(Links { service: open(&config.node.tap)?, heartbeat })
    }

    pub(super) fn service(&self) -> &Tap {
        &self.service
    }

    /// The link that only beats use.
    pub(super) fn dedicated(&self) -> Option<&Tap> {
        self.heartbeat.as_deref()
    }

    /// The link the beats use.
    pub(super) fn beat_port(&self) -> Port {
        if self.heartbeat.is_some() { Port::Heartbeat } else { Port::Service }
    }

    /// Every TAP, in the order of the port numbers in a will.
    pub(super) fn taps(&self) -> Vec<&Tap> {
        [Some(&*self.service), self.dedicated()].into_iter().flatten().collect()
    }

    /// Writes a frame; what the kernel does not take is counted by the TAP.
    pub(super) fn send(&self, port: Port, frame: &[u8]) -> Sent {
        match (port, self.dedicated()) {
            (Port::Heartbeat, Some(tap)) => tap.send(frame),
            (Port::Heartbeat, None) | (Port::Service, _) => self.service.send(frame),
        }
    }

    /// Writes a frame of the service link, which the kernel cuts if it is to have segments of `segment_size` bytes.
    pub(super) fn send_uncut(&self, frame: &[u8], segment_size: Option<NonZeroU16>) -> Sent {
        match segment_size {
            Some(size) => self.service.send_in_segments(frame, size),
            None => self.service.send(frame),
        }
    }

    /// The will in the form the warden keeps.
    pub(super) fn will_of(&self, frames: &[WillFrame]) -> Will {
        let mut will = Will::new();
        for WillFrame { port, bytes } in frames {
            let number = match port {
                Port::Service => 0,
                Port::Heartbeat => 1,
            };
            if let Err(error) = will.push(number, bytes) {
                log::error!("the last will is incomplete: {error}");
            }
        }
        will
    }
}

/// Reads the next frame of `tap` into `buffer`: its length, or `None` when there is none to read now.
pub(super) fn receive(tap: &Tap, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match tap.recv(buffer) {
            Received::Frame(len) => return Some(len),
            Received::Oversize => {}
            Received::Empty | Received::LinkDown | Received::Gone => return None,
        }
    }
}
