//! The bytes, a reader, and a disk that is full.

use std::process::{Command, Stdio};

use smoltcp::phy::{Loopback, Medium, RxToken as _, TxToken as _};

use super::*;

const EPOCH: Duration = Duration::from_secs(1_000_000);

/// A whole, valid ARP request, so that a reader has something to say about it.
const ARP: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, // Ethernet
    0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2,
];

#[test]
fn the_bytes_are_those_of_the_specification() {
    let mut writer = PcapWriter::new(Vec::new(), 4, EPOCH).expect("memory");
    writer.write(Instant::from_nanos(2_000_000_003), b"sixsix").expect("memory");
    writer.write(Instant::ZERO, b"abc").expect("memory");
    writer.flush().expect("memory");
    let expected: [&[u8]; 6] = [
        &[0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[4, 0, 0, 0, 1, 0, 0, 0],
        &[0x42, 0x42, 0x0f, 0, 3, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0],
        b"sixs",
        &[0x40, 0x42, 0x0f, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0],
        b"abc",
    ];
    assert_eq!(writer.into_inner(), expected.concat());
}

#[test]
fn a_snaplen_is_bounded_and_late_stamps_saturate() {
    let mut writer = PcapWriter::new(Vec::new(), u32::MAX, Duration::MAX).expect("memory");
    writer.write(Instant::from_nanos(u64::MAX), b"x").expect("memory");
    let bytes = writer.into_inner();
    assert_eq!(bytes[16..20], SNAPLEN_MAX.to_le_bytes());
    assert_eq!(bytes[24..28], [0xff; 4]);
}

#[test]
fn tcpdump_reads_the_file() {
    let mut writer = PcapWriter::new(Vec::new(), 1514, EPOCH).expect("memory");
    writer.write(Instant::from_nanos(5), &ARP).expect("memory");
    let bytes = writer.into_inner();
    assert_eq!(bytes.len(), FILE_HEADER_LEN + RECORD_HEADER_LEN + ARP.len());
    let reader = Command::new("tcpdump")
        .args(["-n", "-tt", "--nano", "-r", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    // A machine without tcpdump has checked the length, and the bytes in the test above.
    let Ok(mut reader) = reader else { return };
    let mut stdin = reader.stdin.take().expect("piped");
    stdin.write_all(&bytes).expect("tcpdump reads");
    drop(stdin);
    let output = reader.wait_with_output().expect("tcpdump ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("1000000.000000005 ARP, Request who-has 10.0.0.2 tell 10.0.0.1"),
        "{text}"
    );
}

/// Takes some bytes, then fails.
struct FullDisk(usize);

impl Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pass<W: Write>(device: &mut PcapDevice<Loopback, W>, micros: i64, frame: &[u8]) -> Vec<u8> {
    let now = SmolInstant::from_micros(micros);
    let tx = device.transmit(now).expect("a loopback has room");
    tx.consume(frame.len(), |buffer| buffer.copy_from_slice(frame));
    let (rx, _) = device.receive(now).expect("it comes back");
    rx.consume(<[u8]>::to_vec)
}

#[test]
fn a_device_records_both_directions_and_no_empty_frames() {
    let writer = PcapWriter::new(Vec::new(), 1514, Duration::ZERO).expect("memory");
    let mut device = PcapDevice::new(Loopback::new(Medium::Ethernet), writer);
    assert_eq!(pass(&mut device, 1, &ARP), ARP);
    pass(&mut device, 2, &[]);
    assert_eq!((device.error(), device.lost()), (None, 0));
    let bytes = device.into_parts().1.into_inner();
    assert_eq!(bytes.len(), FILE_HEADER_LEN + 2 * (RECORD_HEADER_LEN + ARP.len()));
    assert_eq!(bytes[28..32], 1_000u32.to_le_bytes(), "nanoseconds");
    assert!(bytes.ends_with(&ARP));
}

#[test]
fn a_full_disk_ends_the_capture_and_not_the_traffic() {
    assert!(PcapWriter::new(FullDisk(23), 1514, Duration::ZERO).is_err());
    let writer = PcapWriter::new(FullDisk(24 + 16 + 42), 1514, Duration::ZERO).expect("room");
    let mut device = PcapDevice::new(Loopback::new(Medium::Ethernet), writer);
    assert_eq!(pass(&mut device, 1, &ARP), ARP);
    assert_eq!(pass(&mut device, 2, &ARP), ARP);
    assert_eq!(device.lost(), 3);
    assert!(device.error().is_some());
}
