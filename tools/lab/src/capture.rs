//! What a node said: tcpdump on its device, and a reader for what tcpdump wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::netns::Namespace;
use crate::process::Process;
use crate::wait;

const START: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(5);

/// Bytes of the header of a capture file, and of each record in it.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// A running tcpdump that records what *enters* the kernel through a device.
///
/// On a TAP that is what the program behind it sends, on a cable's end what comes from the network.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
    namespace: Namespace,
    device: String,
    /// What the kernel had counted on the device when the recording began.
    before: u64,
}

/// One recorded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When the kernel saw it: nanoseconds of the wall clock, as [`now`] gives them.
    pub at: u64,
    /// Its bytes, from the destination MAC address on.
    pub bytes: Vec<u8>,
}

/// The present on the clock of [`Frame::at`], in nanoseconds.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Capture {
    /// Starts to record `device` into `NAME.pcap` in `files`.
    ///
    /// # Errors
    /// When tcpdump does not start.
    pub fn start(namespace: &Namespace, files: &Path, name: &str, device: &str) -> Result<Capture> {
        let file = files.join(format!("{name}.pcap"));
        let path = file.to_string_lossy().into_owned();
        let args = [
            ["-i", device, "-w", &path, "-n", "-s", "2048", "-B", "65536", "-Z", "root"].as_slice(),
            &["-U", "--immediate-mode", "--time-stamp-precision=nano"],
            // From the device into the kernel, so not what the bridge sends out by it.
            &["-Q", "in"],
        ]
        .concat();
        let name = format!("{name}-tcpdump");
        let mut tcpdump = Process::spawn(namespace, files, &name, Path::new("tcpdump"), &args)?;
        tcpdump.wait_for_text("listening on", START)?;
        Ok(Capture {
            tcpdump,
            file,
            namespace: namespace.clone(),
            device: device.to_owned(),
            before: namespace.packets(device)?.received,
        })
    }

    /// Where it records.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The frames recorded so far. The newest may still be on their way; see [`Capture::drain`].
    ///
    /// # Errors
    /// When the file cannot be read or is not a capture.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        let bytes =
            fs::read(&self.file).with_context(|| format!("read {}", self.file.display()))?;
        read_pcap(&bytes)
    }

    /// Waits until every frame that the kernel has counted on the device is recorded, and returns all.
    ///
    /// # Errors
    /// When frames are missing: then the recording proves nothing.
    pub fn drain(&self) -> Result<Vec<Frame>> {
        let expected = self.namespace.packets(&self.device)?.received - self.before;
        wait::until(&format!("{} has all frames", self.tcpdump.name()), DRAIN, || {
            let frames = self.frames().map_err(|error| format!("{error:#}"))?;
            match frames.len() as u64 >= expected {
                true => Ok(frames),
                false => Err(format!("{} of {expected} frames", frames.len())),
            }
        })
    }
}

/// Reads a capture file with nanosecond stamps. A record that is not yet complete ends it.
///
/// # Errors
/// When it is anything but a capture of Ethernet frames with nanosecond stamps in our byte order.
pub fn read_pcap(bytes: &[u8]) -> Result<Vec<Frame>> {
    const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
    const LINKTYPE_ETHERNET: u32 = 1;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let field = |at: usize| -> Option<u32> {
        let field = bytes.get(at..at.checked_add(4)?)?;
        field.try_into().ok().map(u32::from_ne_bytes)
    };
    match (field(0), field(20)) {
        (Some(MAGIC_NANOSECONDS), Some(LINKTYPE_ETHERNET)) => {}
        header => bail!("not an Ethernet capture with nanoseconds: {header:08x?}"),
    }
    let mut frames = Vec::new();
    let mut at = FILE_HEADER;
    while let (Some(seconds), Some(nanos), Some(len)) = (field(at), field(at + 4), field(at + 8)) {
        let start = at + RECORD_HEADER;
        let end = start + len as usize;
        let Some(frame) = bytes.get(start..end) else { break };
        let at_ns = u64::from(seconds) * 1_000_000_000 + u64::from(nanos);
        frames.push(Frame { at: at_ns, bytes: frame.to_vec() });
        at = end;
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcap(magic: u32, linktype: u32, records: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let mut file: Vec<u8> =
            [magic, 0, 0, 0, 65535, linktype].iter().flat_map(|word| word.to_ne_bytes()).collect();
        for (seconds, nanos, bytes) in records {
            let len = u32::try_from(bytes.len()).expect("short");
            file.extend([*seconds, *nanos, len, len].iter().flat_map(|word| word.to_ne_bytes()));
            file.extend_from_slice(bytes);
        }
        file
    }

    #[test]
    fn records_are_read_with_their_stamps() {
        let file = pcap(0xa1b2_3c4d, 1, &[(2, 5, b"abc"), (3, 0, b"")]);
        let frames = read_pcap(&file).unwrap();
        assert_eq!(frames[0], Frame { at: 2_000_000_005, bytes: b"abc".to_vec() });
        assert_eq!(frames[1], Frame { at: 3_000_000_000, bytes: Vec::new() });
    }

    #[test]
    fn a_record_still_being_written_is_left_for_later() {
        let file = pcap(0xa1b2_3c4d, 1, &[(2, 5, b"abc"), (3, 0, b"defg")]);
        for cut in 1..20 {
            assert_eq!(read_pcap(&file[..file.len() - cut]).unwrap().len(), 1, "{cut} bytes short");
        }
    }

    #[test]
    fn other_link_types_and_stamps_are_refused() {
        read_pcap(&pcap(0xa1b2_c3d4, 1, &[])).expect_err("microseconds");
        read_pcap(&pcap(0xa1b2_3c4d, 113, &[])).expect_err("cooked");
        read_pcap(b"short").expect_err("no header");
    }
}
