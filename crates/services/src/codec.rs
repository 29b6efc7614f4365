//! The bytes of a snapshot: a four-byte name, a version, then fields in big-endian order.
//!
//! Decoding is strict: a snapshot comes from another node, perhaps of another release, and a service
//! that runs on half-understood state would diverge without anyone noticing.

use locum_stack::service::{FlowId, RestoreError};
use locum_types::Instant;

/// Appends fields to a snapshot.
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Writer<'o> {
    /// Begins the snapshot of a service.
    pub(crate) fn new(out: &'o mut Vec<u8>, name: [u8; 4], version: u8) -> Self {
        out.extend_from_slice(&name);
        out.push(version);
        Writer { out }
    }

    /// Goes on with a snapshot.
    pub(crate) fn to(out: &'o mut Vec<u8>) -> Self {
        Writer { out }
    }

    /// The bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn flow(&mut self, flow: FlowId) {
        self.u64(flow.0);
    }

    pub(crate) fn instant(&mut self, instant: Instant) {
        self.u64(instant.as_nanos());
    }

    /// A count of things that follow, or the length of bytes.
    pub(crate) fn count(&mut self, count: usize) {
        self.u64(count as u64);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// Bytes without their length, which the caller has written.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

/// Takes the fields of a snapshot in the order in which they were written.
pub(crate) struct Reader<'s> {
    service: &'static str,
    rest: &'s [u8],
}

impl<'s> Reader<'s> {
    /// Checks the name and the version.
    pub(crate) fn new(
        service: &'static str,
        snapshot: &'s [u8],
        name: [u8; 4],
        version: u8,
    ) -> Result<Self, RestoreError> {
        let mut reader = Reader { service, rest: snapshot };
        if reader.take(name.len())? != name {
            return Err(reader.error("it is not a snapshot of this service"));
        }
        let found = reader.u8()?;
        if found != version {
            let why = format!("it has version {found}, this release reads version {version}");
            return Err(reader.error(why));
        }
        Ok(reader)
    }

    /// An error about this snapshot.
    pub(crate) fn error(&self, why: impl Into<String>) -> RestoreError {
        RestoreError { service: self.service, why: why.into() }
    }

    fn take(&mut self, count: usize) -> Result<&'s [u8], RestoreError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.error(format!("it ends where {count} more bytes are due")))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RestoreError> {
        Ok(self.take(1)?.iter().fold(0, |_, byte| *byte))
    }

    pub(crate) fn bool(&mut self) -> Result<bool, RestoreError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("{other} stands where 0 or 1 is due"))),
        }
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RestoreError> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub(crate) fn flow(&mut self) -> Result<FlowId, RestoreError> {
        Ok(FlowId(self.u64()?))
    }

    pub(crate) fn instant(&mut self) -> Result<Instant, RestoreError> {
        Ok(Instant::from_nanos(self.u64()?))
    }

    /// A count of things that follow, each of at least one byte: so it is bounded by what is there.
    pub(crate) fn count(&mut self) -> Result<usize, RestoreError> {
        let count = self.u64()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            Ok(_) | Err(_) => Err(self.error(format!("it is too short for a count of {count}"))),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'s [u8], RestoreError> {
        let count = self.count()?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Result<&'s str, RestoreError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a text in it is not UTF-8"))
    }

    /// Takes `count` flows with what belongs to them; the flows must ascend.
    pub(crate) fn flows<T>(
        &mut self,
        mut field: impl FnMut(&mut Self) -> Result<T, RestoreError>,
    ) -> Result<std::collections::BTreeMap<FlowId, T>, RestoreError> {
        let mut flows = std::collections::BTreeMap::new();
        for _ in 0..self.count()? {
            let flow = self.flow()?;
            if flows.last_key_value().is_some_and(|(last, _)| *last >= flow) {
                return Err(self.error(format!("flow {} is out of order", flow.0)));
            }
            let value = field(self)?;
            flows.insert(flow, value);
        }
        Ok(flows)
    }

    /// Checks that nothing is left over.
    pub(crate) fn finish(self) -> Result<(), RestoreError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.error(format!("{left} bytes are left over at its end"))),
        }
    }
}
