//! Opens files and knows their entity tags.
//!
//! An entity tag here comes from the content, not from the modification time: a client that resumes a
//! download at the successor of a node must find the same tag, and files that were copied to two nodes
//! need not have the same times to the nanosecond. Digests are remembered per path and version of the
//! file, in a bounded table which no answer depends on: it only saves reading.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::io;
use std::sync::{Arc, Weak};

use locum_types::Health;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::files::{Content, Files, Meta, Node, OpenError};

/// How many files the catalog remembers.
const REMEMBERED_MAX: usize = 256;
/// Files up to this size are digested whole: some milliseconds, once per version of a file.
const WHOLE_MAX: u64 = 16 << 20;
/// Larger ones are digested in this many samples of `SAMPLE` bytes, together with their modification time
/// in seconds: stricter than the time and length that other servers make a strong tag of, and still bounded.
const SAMPLES: u64 = 16;
const SAMPLE: u64 = 1 << 20;

/// A file that is open, with what an answer says about it.
#[derive(Clone)]
pub(super) struct OpenFile {
    pub(super) content: Arc<dyn Content>,
    pub(super) len: u64,
    /// When it was last modified, in seconds since 1970.
    pub(super) modified: i64,
    /// The strong entity tag, quotes included.
    pub(super) tag: String,
}

/// What the catalog found.
pub(super) enum Found {
    Directory,
    File(OpenFile),
}

struct Remembered {
    meta: Meta,
    tag: String,
    /// Shared by every response that sends this file: a thousand downloads need one descriptor.
    content: Weak<dyn Content>,
    used: u64,
}

/// The files of a service, and what is known about them.
pub(super) struct Catalog {
    files: Box<dyn Files>,
    remembered: BTreeMap<String, Remembered>,
    clock: u64,
    buffer: Box<[u8]>,
}

impl Catalog {
    pub(super) fn new(files: Box<dyn Files>) -> Self {
        let buffer = vec![0; 64 * 1024].into_boxed_slice();
        Catalog { files, remembered: BTreeMap::new(), clock: 0, buffer }
    }

    pub(super) fn health(&self) -> Health {
        match self.files.check().map_err(|error| error.kind()) {
            Ok(()) => Health::Ok,
            Err(
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied,
            ) => Health::Failed,
            Err(_) => Health::Degraded,
        }
    }

    /// Opens what is at `path`.
    pub(super) fn open(&mut self, path: &str) -> Result<Found, OpenError> {
        let (meta, content) = match self.files.open(path)? {
            Node::Directory => return Ok(Found::Directory),
            Node::File(meta, content) => (meta, content),
        };
        self.clock += 1;
        if let Some(known) = self.remembered.get_mut(path).filter(|known| known.meta == meta) {
            known.used = self.clock;
            let content = known.content.upgrade().unwrap_or(content);
            known.content = Arc::downgrade(&content);
            return Ok(Found::File(open_file(meta, content, known.tag.clone())));
        }
        let tag = entity_tag(&*content, &meta, &mut self.buffer).map_err(OpenError::Unavailable)?;
        self.remember(path, meta, &tag, &content);
        Ok(Found::File(open_file(meta, content, tag)))
    }

    fn remember(&mut self, path: &str, meta: Meta, tag: &str, content: &Arc<dyn Content>) {
        if self.remembered.len() >= REMEMBERED_MAX && !self.remembered.contains_key(path) {
            let oldest = self.remembered.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(path, _)| path.clone()) {
                self.remembered.remove(&oldest);
            }
        }
        let content = Arc::downgrade(content);
        let known = Remembered { meta, tag: tag.to_owned(), content, used: self.clock };
        self.remembered.insert(path.to_owned(), known);
    }
}

fn open_file(meta: Meta, content: Arc<dyn Content>, tag: String) -> OpenFile {
    OpenFile { content, len: meta.len, modified: meta.modified, tag }
}

/// The strong entity tag of a file: SipHash-1-3-128 over its length and content. It need not withstand
/// whoever writes the files, and it is the fastest digest at hand: a node must not stand still over it.
fn entity_tag(content: &dyn Content, meta: &Meta, buffer: &mut [u8]) -> io::Result<String> {
    let mut hasher = SipHasher13::new();
    hasher.write(&meta.len.to_be_bytes());
    if meta.len <= WHOLE_MAX {
        digest(&mut hasher, content, 0, meta.len, buffer)?;
    } else {
        hasher.write(&meta.modified.to_be_bytes());
        let stride = (meta.len - SAMPLE) / (SAMPLES - 1);
        for sample in 0..SAMPLES {
            digest(&mut hasher, content, sample * stride, SAMPLE, buffer)?;
        }
    }
    Ok(format!("\"{:032x}\"", hasher.finish128().as_u128()))
}

fn digest(
    hasher: &mut SipHasher13,
    content: &dyn Content,
    mut offset: u64,
    mut left: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    while left > 0 {
        let due = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..due).unwrap_or_default();
        let count = content.read_at(offset, part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.write(part.get(..count).unwrap_or_default());
        offset += count as u64;
        left = left.saturating_sub(count as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
