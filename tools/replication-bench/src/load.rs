//! What a client does: small requests one after the other, and bulk in both directions.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use locum_lab::{Lab, SERVICE_V4};

/// Of a request and of its answer.
const REQUEST: usize = 64;
/// Before requests are timed.
const WARM_UP: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);
const CHUNK: usize = 128 * 1024;
/// The file that is downloaded.
const FILE: &str = "bulk";

/// Makes the file that is downloaded.
pub(crate) fn prepare(lab: &Lab, mib: usize) -> Result<()> {
    let path = lab.files().join("www").join(FILE);
    fs::write(&path, vec![7; mib << 20]).with_context(|| format!("write {}", path.display()))
}

pub(crate) fn connect(lab: &Lab, port: u16) -> Result<TcpStream> {
    let target = SocketAddr::from((SERVICE_V4, port));
    let stream = lab.client(1).namespace().run(|| {
        TcpStream::connect_timeout(&target, PATIENCE)
            .with_context(|| format!("connect to {target}"))
    })?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// How long each request took, the answer to one before the next.
pub(crate) fn requests(lab: &Lab, count: usize) -> Result<Vec<Duration>> {
    let mut stream = connect(lab, 7)?;
    let request = [0x5a; REQUEST];
    let mut answer = [0; REQUEST];
    let mut times = Vec::with_capacity(count);
    for number in 0..WARM_UP + count {
        let sent = Instant::now();
        stream.write_all(&request)?;
        stream.read_exact(&mut answer)?;
        if number >= WARM_UP {
            times.push(sent.elapsed());
        }
    }
    ensure!(answer == request, "the echo is another");
    Ok(times)
}

/// MB/s of a download by HTTP.
pub(crate) fn download(lab: &Lab, mib: usize) -> Result<f64> {
    let mut stream = connect(lab, 80)?;
    let head = format!("GET /{FILE} HTTP/1.1\r\nHost: {SERVICE_V4}\r\nConnection: close\r\n\r\n");
    let begun = Instant::now();
    stream.write_all(head.as_bytes())?;
    let mut buffer = vec![0; CHUNK];
    let mut received = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            len => received += len,
        }
    }
    ensure!(received >= mib << 20, "only {received} bytes came");
    Ok(rate(received, begun.elapsed()))
}

/// MB/s of an upload to a service that discards it.
pub(crate) fn upload(lab: &Lab, mib: usize) -> Result<f64> {
    let mut stream = connect(lab, 9)?;
    let chunk = vec![7; CHUNK];
    let begun = Instant::now();
    for _ in 0..(mib << 20) / CHUNK {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(Shutdown::Write)?;
    // The service closes when it has everything.
    ensure!(stream.read(&mut [0; 1])? == 0, "the service that discards has said something");
    Ok(rate(mib << 20, begun.elapsed()))
}

fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}
