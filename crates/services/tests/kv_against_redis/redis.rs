//! A redis-server of our own, and connections to it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::reply;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server; it ends with the value, also when a test panics.
pub(crate) struct Redis {
    child: Child,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "another process has a clock of its own")]
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

impl Redis {
    /// Starts a server; or says why there is none.
    pub(crate) fn start() -> Result<Redis, String> {
        let version = Command::new("redis-server").arg("--version").output();
        let version = version.map_err(|error| format!("redis-server: {error}"))?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        if !version.contains("v=7.0.") {
            return Err(format!("redis-server 7.0 is wanted, not {}", version.trim()));
        }
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let socket = dir.path().join("socket");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--slowlog-log-slower-than", "-1", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server: {error}"))?;
        Ok(Redis { child, socket, _dir: dir })
    }

    pub(crate) fn connect(&self) -> Client {
        for _ in 0..PATIENCE.as_millis() / 10 {
            if let Ok(stream) = UnixStream::connect(&self.socket) {
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                return Client { stream, unread: Vec::new() };
            }
            pause(10);
        }
        panic!("redis-server does not listen");
    }
}

/// A connection.
pub(crate) struct Client {
    stream: UnixStream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("redis-server reads");
    }

    /// The next reply; an error if none comes in time.
    pub(crate) fn reply(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(len) = reply::whole(&self.unread) {
                return Ok(self.unread.drain(..len).collect());
            }
            let mut buffer = [0; 65_536];
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.unread.extend_from_slice(&buffer[..len]),
            }
        }
    }

    pub(crate) fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.reply().expect("redis-server answers")
    }

    /// All that comes until the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.unread);
        self.stream.read_to_end(&mut bytes).expect("redis-server ends the connection");
        bytes
    }

    /// Waits until so many clients wait for a key; says whether they do.
    pub(crate) fn sees_blocked(&mut self, count: usize) -> bool {
        let line = format!("blocked_clients:{count}\r\n");
        for _ in 0..PATIENCE.as_millis() / 10 {
            let info = self.ask(b"INFO clients\r\n");
            if String::from_utf8_lossy(&info).contains(&line) {
                return true;
            }
            pause(1);
        }
        false
    }
}
