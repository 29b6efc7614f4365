//! Captures for Wireshark and tcpdump: the classic pcap format with nanosecond stamps.
//!
//! The format is draft-ietf-opsawg-pcap: a 24-byte file header, then a 16-byte header before each
//! frame, here always little-endian, so that a capture of a simulation is the same everywhere.

use std::cell::RefCell;
use std::io::{self, Write};
use std::time::Duration;

use locum_types::Instant;
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant as SmolInstant;

/// Says "nanosecond stamps", and by its byte order how the rest is to be read.
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
const VERSION_MAJOR: u16 = 2;
const VERSION_MINOR: u16 = 4;
const LINKTYPE_ETHERNET: u32 = 1;
const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// The longest snaplen that readers accept without question.
pub const SNAPLEN_MAX: u32 = 262_144;

/// Writes frames as a pcap file.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    writer: W,
    snaplen: u32,
    epoch: Duration,
    /// One record, so that it is written by one call.
    record: Vec<u8>,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    ///
    /// Of each frame the first `snaplen` bytes are kept (at most [`SNAPLEN_MAX`]). `epoch` is the
    /// time since 1970 at [`Instant::ZERO`]: zero for virtual time, wall clock minus
    /// [`Clock::now`](crate::Clock::now) for a live capture.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(mut writer: W, snaplen: u32, epoch: Duration) -> io::Result<Self> {
        let snaplen = snaplen.min(SNAPLEN_MAX);
        let mut header = Vec::with_capacity(FILE_HEADER_LEN);
        header.extend(MAGIC_NANOS.to_le_bytes());
        header.extend(VERSION_MAJOR.to_le_bytes());
        header.extend(VERSION_MINOR.to_le_bytes());
        header.extend([0; 8]); // time zone and accuracy, by now reserved
        header.extend(snaplen.to_le_bytes());
        header.extend(LINKTYPE_ETHERNET.to_le_bytes());
        writer.write_all(&header)?;
        Ok(PcapWriter { writer, snaplen, epoch, record: Vec::new() })
    }

    /// Appends one frame.
    ///
    /// # Errors
    /// What the writer says; the file may end in a torn record then.
    pub fn write(&mut self, at: Instant, frame: &[u8]) -> io::Result<()> {
        let stamp = self.epoch.saturating_add(Duration::from_nanos(at.as_nanos()));
        // The field is 32 bits wide: it lasts until 2106.
        let seconds = u32::try_from(stamp.as_secs()).unwrap_or(u32::MAX);
        let original_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let captured_len = original_len.min(self.snaplen);
        let captured = frame.get(..captured_len as usize).unwrap_or(frame);
        self.record.clear();
        self.record.reserve(RECORD_HEADER_LEN + captured.len());
        for field in [seconds, stamp.subsec_nanos(), captured_len, original_len] {
            self.record.extend(field.to_le_bytes());
        }
        self.record.extend_from_slice(captured);
        self.writer.write_all(&self.record)
    }

    /// Flushes the writer.
    ///
    /// # Errors
    /// What the writer says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer, not flushed.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

/// The capture of a device, until its first error.
#[derive(Debug)]
struct Recorder<W: Write> {
    writer: PcapWriter<W>,
    error: Option<io::Error>,
    lost: u64,
}

impl<W: Write> Recorder<W> {
    fn record(&mut self, now: SmolInstant, frame: &[u8]) {
        // An empty frame stands for one that a filter below took away.
        if frame.is_empty() {
            return;
        }
        if self.error.is_some() {
            self.lost += 1;
        } else if let Err(error) = self.writer.write(now.into(), frame) {
            self.error = Some(error);
            self.lost += 1;
        }
    }
}

/// A device that captures what passes through it, both ways.
///
/// A capture must not harm what it watches: after the first write error it only counts what it
/// loses. [`PcapDevice::error`] has the error.
#[derive(Debug)]
pub struct PcapDevice<D, W: Write> {
    inner: D,
    recorder: RefCell<Recorder<W>>,
}

impl<D, W: Write> PcapDevice<D, W> {
    /// Captures what passes through `inner`.
    pub fn new(inner: D, writer: PcapWriter<W>) -> Self {
        PcapDevice { inner, recorder: RefCell::new(Recorder { writer, error: None, lost: 0 }) }
    }

    /// The error that ended the capture, as text; `None` while it goes on.
    pub fn error(&self) -> Option<String> {
        self.recorder.borrow().error.as_ref().map(io::Error::to_string)
    }

    /// Frames that passed without being captured.
    pub fn lost(&self) -> u64 {
        self.recorder.borrow().lost
    }

    /// The device below.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    /// The device below.
    pub fn inner_mut(&mut self) -> &mut D {
        &mut self.inner
    }

    /// The device below, and the writer.
    pub fn into_parts(self) -> (D, PcapWriter<W>) {
        (self.inner, self.recorder.into_inner().writer)
    }
}

impl<D: Device, W: Write> Device for PcapDevice<D, W> {
    type RxToken<'a>
        = RxToken<'a, D::RxToken<'a>, W>
    where
        Self: 'a;
    type TxToken<'a>
        = TxToken<'a, D::TxToken<'a>, W>
    where
        Self: 'a;

    fn receive(&mut self, now: SmolInstant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let PcapDevice { inner, recorder } = self;
        let (rx, tx) = inner.receive(now)?;
        Some((RxToken { inner: rx, recorder, now }, TxToken { inner: tx, recorder, now }))
    }

    fn transmit(&mut self, now: SmolInstant) -> Option<Self::TxToken<'_>> {
        let PcapDevice { inner, recorder } = self;
        inner.transmit(now).map(|tx| TxToken { inner: tx, recorder, now })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.inner.capabilities()
    }
}

/// One received frame, captured when it is looked at.
#[derive(Debug)]
pub struct RxToken<'a, T, W: Write> {
    inner: T,
    recorder: &'a RefCell<Recorder<W>>,
    now: SmolInstant,
}

impl<T: phy::RxToken, W: Write> phy::RxToken for RxToken<'_, T, W> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let RxToken { inner, recorder, now } = self;
        inner.consume(|frame| {
            recorder.borrow_mut().record(now, frame);
            f(frame)
        })
    }

    fn meta(&self) -> phy::PacketMeta {
        self.inner.meta()
    }
}

/// Room for one frame, captured when it has been filled in.
#[derive(Debug)]
pub struct TxToken<'a, T, W: Write> {
    inner: T,
    recorder: &'a RefCell<Recorder<W>>,
    now: SmolInstant,
}

impl<T: phy::TxToken, W: Write> phy::TxToken for TxToken<'_, T, W> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let TxToken { inner, recorder, now } = self;
        inner.consume(len, |frame| {
            let result = f(frame);
            recorder.borrow_mut().record(now, frame);
            result
        })
    }

    fn set_meta(&mut self, meta: phy::PacketMeta) {
        self.inner.set_meta(meta);
    }
}

#[cfg(test)]
mod tests;
