//! `locum keygen`: a new group key in a new file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use locum_wire::Key;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::exit::Exit;
use crate::output;

pub(super) fn keygen(path: &Path) -> anyhow::Result<Exit> {
    let key = Key::new(random().context("the system has no random bytes")?);
    let shown = path.display();
    let mut file = match create(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
            "{shown} exists, and is left as it is: its group would break apart with another key; \
             remove it first if that is what you want"
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot make {shown}")),
    };
    file.write_all(key.to_hex().as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {shown}"))?;
    output::write(format!(
        "{shown}: a new group key (mode 0600); copy it to every node, and to nobody else\n"
    ))?;
    Ok(Exit::Ok)
}

/// Makes the file, readable by its owner alone from its first moment on.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// 32 bytes of the kernel's generator, once it is seeded.
fn random() -> io::Result<[u8; locum_wire::KEY_LEN]> {
    let mut bytes = [0; locum_wire::KEY_LEN];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}
